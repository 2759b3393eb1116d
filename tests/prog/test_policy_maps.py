"""Random policy maps and random packets: the loaded programs against a plain reading of the entries.

Unlike rules, which only make certain entries, the maps here hold anything that a policy map can say.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.prog.actors import CLIENT, WORLD4, Node, PolicyEntry
from tests.prog.datapath import Outcome
from tests.prog.expect import AUTH_REQUIRED, DENIED, DENIED_EXPLICITLY, DROPPED
from tests.prog.packets import ICMP, TCP, UDP, Segment, ethernet, icmp, ipv4, tcp, udp

PEERS = {"192.0.2.10": 3001, "192.0.2.11": 3002, "203.0.113.9": WORLD4}
PORTS = (53, 54, 80, 81, 443, 8080)
POLICY_MAP = f"cilium_policy_v2_{CLIENT.id:05}"
CONNECTIONS = ("cilium_ct4_global", "cilium_ct_any4_global")
SYN = 2

NOTHING, PEER_ONLY, PEER_AND_PORT, PORT_ONLY, EVERYTHING, PEER_AND_PROTOCOL, PROTOCOL_ONLY = range(7)


class Packet(NamedTuple):
    """port: of ICMP, the type."""

    egress: bool
    peer: str
    protocol: int
    port: int

    @property
    def segment(self) -> Segment:
        match self.protocol:
            case 6:
                return tcp(40000, self.port, SYN)
            case 17:
                return udp(40000, self.port)
        return icmp(self.port, 0, 7)


class Decision(NamedTuple):
    """code: of the verdict, as in its notification; proxy: the port in a positive one."""

    code: int
    proxy: int
    match: int


def covers(entry: PolicyEntry, packet: Packet, peer: int) -> bool:
    """Does the entry, which is for this peer or for anyone, speak of the packet?"""
    if entry.egress != packet.egress or entry.peer != peer:
        return False
    if not entry.protocol:
        return True
    if entry.protocol != packet.protocol:
        return False
    return not entry.port or entry.port >> (16 - entry.bits) == packet.port >> (16 - entry.bits)


def breadth(entry: PolicyEntry) -> int:
    """Bits of protocol and port that the entry wants."""
    return 0 if not entry.protocol else 8 + (entry.bits if entry.port else 0)


def closest(entries: list[PolicyEntry], packet: Packet, peer: int) -> PolicyEntry | None:
    return max((entry for entry in entries if covers(entry, packet, peer)), key=breadth, default=None)


def read(entries: list[PolicyEntry], packet: Packet) -> Decision:
    """What the entries mean, in the order in which the documentation says it."""
    own, any_ = closest(entries, packet, PEERS[packet.peer]), closest(entries, packet, 0)
    found = [entry for entry in (own, any_) if entry is not None]
    if not found:
        return Decision(-DENIED, 0, NOTHING)
    entry = max(found, key=lambda one: (one.deny, one.priority, breadth(one), one is own))
    if own is not None and own.deny:
        entry = own
    match = {
        0: (PEER_ONLY, EVERYTHING), 8: (PEER_AND_PROTOCOL, PROTOCOL_ONLY)
    }.get(breadth(entry), (PEER_AND_PORT, PORT_ONLY))[entry is any_]  # fmt: skip
    if entry.deny:
        return Decision(-DENIED_EXPLICITLY, 0, match)
    auth = entry.auth or max(one.auth for one in found)
    if auth:
        return Decision(-AUTH_REQUIRED, 0, match)
    return Decision(entry.proxy_port, entry.proxy_port, match)


def told(outcome: Outcome) -> Decision:
    """The endpoint's verdict notification, which the drop notification has to agree with."""
    [notification] = [one for one in outcome.events if one[0] == 5]
    code = struct.unpack_from("<i", notification, 20)[0]
    assert (outcome.drop_reason or 0) == max(-code, 0)
    assert (outcome.verdict == DROPPED) == (code < 0)
    proxy = int.from_bytes(max(code, 0).to_bytes(2, "little"), "big")
    return Decision(min(code, 0) or proxy, proxy, notification[27] >> 3 & 7)


@st.composite
def policy_entries(draw: st.DrawFn) -> PolicyEntry:
    protocol = draw(st.sampled_from([0, TCP, UDP, ICMP]))
    bits = draw(st.sampled_from([16, 16, 15, 12, 8]))
    port = draw(st.sampled_from([0, 8, 3] if protocol == ICMP else [0, *PORTS])) if protocol else 0
    if protocol == ICMP:
        bits = 16
    deny = draw(st.sampled_from([False, False, True]))
    return PolicyEntry(
        egress=draw(st.booleans()),
        peer=draw(st.sampled_from([0, 0, *PEERS.values()])),
        protocol=protocol,
        port=port >> (16 - bits) << (16 - bits),
        bits=bits,
        deny=deny,
        proxy_port=0 if deny else draw(st.sampled_from([0, 0, 10000, 10001])),
        priority=draw(st.sampled_from([0, 0, 1, 200])),
        auth=0 if deny else draw(st.sampled_from([0, 0, 0, 1, 2])),
    )


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    protocol = draw(st.sampled_from([TCP, UDP, ICMP]))
    port = draw(st.sampled_from([8, 13]) if protocol == ICMP else st.sampled_from(PORTS))
    return Packet(draw(st.booleans()), draw(st.sampled_from(sorted(PEERS))), protocol, port)


def come(node: Node, packet: Packet) -> Outcome:
    """As the first of its connection."""
    node.datapath.clear(*CONNECTIONS)
    if packet.egress:
        frame = ipv4(CLIENT.ip, packet.peer, packet.segment)
        return node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, frame))
    frame = ipv4(packet.peer, CLIENT.ip, packet.segment)
    return node.arrive(CLIENT, ethernet(CLIENT.router_mac, CLIENT.mac, frame), PEERS[packet.peer])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(policy_entries(), max_size=12), tried=st.lists(packets(), min_size=1, max_size=8))
def test_programs_do_what_the_map_says(entries: list[PolicyEntry], tried: list[Packet], node: Node) -> None:
    unique = list({entry.packed()[0]: entry for entry in entries}.values())
    for address, identity in PEERS.items():
        node.know_identity(address, identity)
    node.datapath.clear(POLICY_MAP)
    node.allow(CLIENT, *unique)
    for packet in tried:
        meant = read(unique, packet)
        assert told(come(node, packet)) == meant
        event(f"code {meant.code}, match {meant.match}")


@pytest.mark.parametrize("egress", [True, False])
def test_an_entry_that_is_taken_out_counts_no_more(egress: bool, node: Node) -> None:
    """At once, and also for the connection that it let open."""
    packet = Packet(egress, "192.0.2.10", TCP, 80)
    node.know_identity(packet.peer, PEERS[packet.peer])
    entry = PolicyEntry(egress, PEERS[packet.peer], TCP, 80)
    node.allow(CLIENT, entry)
    assert told(come(node, packet)).code == 0
    node.disallow(CLIENT, entry)
    if egress:
        frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, packet.peer, packet.segment))
        outcome = node.send(CLIENT, frame)
    else:
        frame = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(packet.peer, CLIENT.ip, packet.segment))
        outcome = node.arrive(CLIENT, frame, PEERS[packet.peer])
    assert outcome.drop_reason == DENIED
