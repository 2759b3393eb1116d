"""Random rules and random packets: the loaded programs against a plain reading of the rules.

The rules become entries, the entries go into a live policy map from one set of rules to the next, and a packet in
each direction shows what the programs make of them. CILIUM_PY_MODEL_PACKETS says how many packets to try.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import struct
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from cilium_py.policy import table
from cilium_py.policy.identities import Identities
from tests.prog.actors import CLIENT, Node
from tests.prog.datapath import Outcome
from tests.prog.packets import ICMP, ICMPV6, SCTP, SYN, TCP, Segment, ethernet, icmp, icmp6, ipv4, ipv6, sctp, tcp, udp
from tests.unit.policy import reading, world
from tests.unit.policy.reading import Meaning, Packet, Peer

PACKETS = int(os.environ.get("CILIUM_PY_MODEL_PACKETS", "5000"))
PACKETS_A_ROUND = 50
DESTINATION_UNREACHABLE, PORT_UNREACHABLE = 3, 3
POLICY_DENIED, DENIED_EXPLICITLY = 133, 181
POLICY_MAP = f"cilium_policy_v2_{CLIENT.id:05}"
CONNECTIONS = ("cilium_ct4_global", "cilium_ct_any4_global", "cilium_ct6_global", "cilium_ct_any6_global")


class Town:
    """Where the peers of a model world live, as the ipcache knows it."""

    def __init__(self, node: Node, actors: world.World) -> None:
        self.node, self.actors = node, actors
        self.addresses: dict[Peer, dict[int, str]] = {}
        for number, peer in enumerate(actors.peers, 1):
            if peer.address:
                self.addresses[peer] = {ip_address(peer.address).version: peer.address}
            else:
                self.addresses[peer] = {4: f"10.9.0.{number}", 6: f"fd09::{number:x}"}

    def publish(self, identities: Identities) -> None:
        """Write every peer and every CIDR into the ipcache, in place of those of the rules before."""
        ipcache = self.node.datapath.map("cilium_ipcache_v2")
        for key in list(ipcache.keys()):
            ipcache.delete(key)
        for peer, addresses in self.addresses.items():
            for address in addresses.values():
                if not peer.address:
                    self.node.know_identity(address, self.actors.identity(peer, identities))
        for identity in identities.cidrs.values():
            network = identity.network
            key = struct.pack("<IHBB", 32 + network.prefixlen, 0, 0, 1 if network.version == 4 else 2)
            value = struct.pack("<I20x", identity.number)
            ipcache.update(key + network.network_address.packed.ljust(16, b"\0"), value)


def segment(packet: Packet, source_port: int) -> Segment:
    match packet.protocol:
        case 6:
            return tcp(source_port, packet.port, SYN)
        case 17:
            return udp(source_port, packet.port)
        case 132:
            return sctp(source_port, packet.port)
        case 1:
            code = PORT_UNREACHABLE if packet.port == DESTINATION_UNREACHABLE else 0
            return icmp(packet.port, code, source_port)
    return icmp6(packet.port, 0, source_port)


def send(town: Town, packet: Packet, identity: int, source_port: int) -> Outcome | None:
    """Let the packet come to the programs; None if the peer has no address of the protocol's family."""
    known = town.addresses[packet.peer]
    if packet.protocol in (ICMP, ICMPV6):
        # Conntrack tells only echoes apart by their identifier.
        town.node.datapath.clear("cilium_ct_any4_global", "cilium_ct_any6_global")
    version = {ICMP: 4, ICMPV6: 6}.get(packet.protocol, source_port % 2 * 2 + 4)
    if version not in known:
        if packet.protocol in (ICMP, ICMPV6):
            return None
        version = 10 - version
    peer, own, ip = known[version], CLIENT.ip if version == 4 else CLIENT.ip6, ipv4 if version == 4 else ipv6
    load = segment(packet, source_port)
    if packet.direction == "egress":
        return town.node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, ip(own, peer, load)))
    return town.node.arrive(CLIENT, ethernet(CLIENT.router_mac, CLIENT.mac, ip(peer, own, load)), identity)


def meaning_of(outcome: Outcome, proxies: dict[int, str]) -> Meaning:
    """What the endpoint's verdict notification says, which the drop notification has to agree with."""
    codes = [
        struct.unpack_from("<i", event, 20)[0]
        for event in outcome.events
        if event[0] == 5 and struct.unpack_from("<H", event, 2)[0] == CLIENT.id
    ]
    assert len(codes) == 1
    denied = codes[0] in (-POLICY_DENIED, -DENIED_EXPLICITLY)
    assert denied == (outcome.drop_reason in (POLICY_DENIED, DENIED_EXPLICITLY))
    assert denied or codes[0] >= 0
    port = int.from_bytes(max(codes[0], 0).to_bytes(2, "little"), "big")
    return Meaning(not denied, proxies.get(port))


def rounds(packets: int) -> Iterator[tuple[int, int]]:
    """Seeds, each with a number of packets."""
    for seed, first in enumerate(range(0, packets, PACKETS_A_ROUND)):
        yield seed, min(PACKETS_A_ROUND, packets - first)


def test_programs_do_what_the_rules_say(node: Node) -> None:
    policy_map = node.datapath.map(POLICY_MAP)
    ports = itertools.cycle(range(1024, 65536))
    tried = 0
    for seed, count in rounds(PACKETS):
        rng = random.Random(seed)
        actors, rules = world.World(rng), reading.random_rules(rng)
        repository, own = world.repository(rules), reading.random_labels(rng)
        identities = actors.identities(repository)
        town = Town(node, actors)
        town.publish(identities)
        table.apply(policy_map, world.policy_of(repository, identities, own))
        proxies = world.proxy_names(repository)
        node.datapath.clear(*CONNECTIONS)
        done = 0
        while done < count:
            packet = reading.random_packet(rng, actors.peers)
            outcome = send(town, packet, actors.identity(packet.peer, identities), next(ports))
            if outcome is None:
                continue
            done += 1
            meant = reading.read(rules, own, packet, reading.NAMES)
            ours = meaning_of(outcome, proxies)
            assert ours == meant, f"seed {seed}: {packet} of {own}\n{json.dumps(rules, indent=1)}"
        tried += done
    assert tried == PACKETS


@pytest.mark.parametrize("protocol", [TCP, SCTP], ids=["TCP", "SCTP"])
def test_a_map_of_the_programs_is_what_the_rules_want(node: Node, protocol: int) -> None:
    """What is read back from the map is what was applied, and a second time nothing is to do."""
    name = {TCP: "TCP", SCTP: "SCTP"}[protocol]
    rules = [{
        "endpointSelector": {},
        "ingress": [
            {"fromCIDR": ["192.0.2.0/24"], "toPorts": [{"ports": [{"port": "80", "endPort": 443, "protocol": name}]}]}
        ],
    }]  # fmt: skip
    repository = world.repository(rules)
    identities = world.World(random.Random(0)).identities(repository)
    policy_map = node.datapath.map(POLICY_MAP)
    policy = world.policy_of(repository, identities, {})
    assert table.apply(policy_map, policy)
    assert table.read(policy_map) == policy.entries
    assert not table.apply(policy_map, policy)
    number = next(iter(identities.cidrs))
    assert identities.of_address(ip_network("192.0.2.7")) == number
    covered = {port for key in policy.entries if key.identity == number for port in range(key.l4.port, key.l4.last + 1)}
    assert covered == set(range(80, 444))
