"""Every reason for which the endpoint programs drop: provoked by a packet, counted, and said by the monitor."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest

from cilium_py.monitor.dissect import Dissector
from cilium_py.monitor.events import Drop, decode, packet_of
from cilium_py.monitor.labels import Names
from cilium_py.monitor.text import Text
from cilium_py.schema.reasons import REASONS
from tests.prog.actors import (
    CLIENT,
    GATEWAY,
    OPTIONS,
    PODS,
    REMOTE,
    REMOTE_IDENTITY,
    SERVER,
    WORLD,
    Node,
    egress,
    ingress,
)
from tests.prog.datapath import Datapath, Outcome
from tests.prog.packets import (
    BROADCAST,
    DESTINATION_OPTIONS,
    ECHO_REQUEST,
    ETH_ARP,
    ICMP,
    SYN,
    TCP,
    UDP,
    arp,
    destination_options,
    ethernet,
    icmp,
    ipv4,
    ipv6,
    solicitation,
    tcp,
    udp,
)  # fmt: skip
from tests.prog.test_services import VIP

HEADER = Path(__file__).resolve().parents[2] / "bpf_src/lib/drop_reasons.h"

MISSED_TAIL_CALL, UNKNOWN_L4, FRAG_NOSUPPORT, NO_SERVICE = 140, 142, 157, 158
NO_NODE_ID, RATE_LIMITED = 197, 198
CALL_ARP = 6

OUT_OF_REACH = {
    141: "the kernel refuses to write to a packet that was just read",
    153: "the kernel refuses to change a checksum that was just read",
    154: "likewise",
    155: "a conntrack map, which forgets its oldest entry, has no room at all",
    163: "a lookup returns none of its four states",
}
"""Reasons that stand for what a packet cannot bring about."""


def from_client(packet: bytes, kind: int | None = None) -> bytes:
    return ethernet(CLIENT.mac, CLIENT.router_mac, packet, kind)


SYN4 = from_client(ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN)))


class Case(NamedTuple):
    """`arrange` makes the node such that `frame`, sent by the client, is dropped."""

    reason: int
    frame: bytes
    arrange: Callable[[Node], object] = lambda _: None


def everything(node: Node) -> None:
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())


def authentication(node: Node) -> None:
    node.allow(CLIENT, egress(REMOTE_IDENTITY, auth=1))


def unknown_node(node: Node) -> None:
    """Authentication is wanted of a peer behind a node that has no number."""
    authentication(node)
    key = struct.pack("<IHBB", 64, 0, 0, 1) + IPv4Address(REMOTE).packed.ljust(16, b"\0")
    info = struct.pack("<I4s12xHBB", REMOTE_IDENTITY, IPv4Address("192.0.2.9").packed, 0, 0, 2)
    node.datapath.map("cilium_ipcache_v2").update(key, info)


def stranger(node: Node) -> None:
    everything(node)
    node.know_endpoint("10.1.0.99", CLIENT.endpoint._replace(id=99, ifindex=SERVER.endpoint.ifindex))


def asked_too_often(node: Node) -> None:
    """The answers that there is no backend are limited, for each interface."""
    everything(node)
    node.serve(VIP, 80, TCP, [])
    while node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1, 80, SYN)))).drop_reason is None:
        pass
    node.datapath.clear("cilium_metrics")


CASES = [
    Case(132, from_client(ipv4(SERVER.ip, WORLD, udp(1, 2)))),
    Case(133, SYN4),
    Case(134, from_client(ipv4(CLIENT.ip, SERVER.ip, icmp(ECHO_REQUEST).octets, protocol=ICMP, more=True)), everything),
    Case(135, from_client(ipv4(CLIENT.ip, SERVER.ip, udp(1, 2).octets[:3], protocol=UDP)), everything),
    Case(137, from_client(ipv4(CLIENT.ip, SERVER.ip, bytes(8), protocol=47)), everything),
    Case(139, from_client(bytes(46), kind=0x88CC)),
    Case(UNKNOWN_L4, from_client(ipv6(
        CLIENT.ip6, SERVER.ip6, udp(1, 2), hop_limit=1, next_header=DESTINATION_OPTIONS,
        extensions=destination_options(UDP),
    )), everything),
    Case(150, ethernet(CLIENT.mac, BROADCAST, ipv6(CLIENT.ip6, "ff02::1:ff00:99", solicitation("fd01::99", CLIENT.mac),
                                                   hop_limit=255))),
    Case(156, from_client(ipv6(CLIENT.ip6, SERVER.ip6, b"", next_header=59)), everything),
    Case(166, CLIENT.router_mac + CLIENT.mac + bytes(48)),
    Case(175, from_client(ipv4(CLIENT.ip, SERVER.ip, bytes(16), protocol=UDP, offset=24)), everything),
    Case(181, SYN4, lambda node: node.allow(CLIENT, egress(deny=True))),
    Case(184, from_client(ipv4(CLIENT.ip, "0.0.0.0", udp(0, 0))), everything),
    Case(189, from_client(ipv4(CLIENT.ip, REMOTE, udp(1, 2))), authentication),
    Case(196, from_client(ipv4(CLIENT.ip, SERVER.ip, udp(1, 2), ttl=0)), everything),
    Case(NO_NODE_ID, from_client(ipv4(CLIENT.ip, REMOTE, udp(1, 2))), unknown_node),
    Case(RATE_LIMITED, from_client(ipv4(CLIENT.ip, VIP, tcp(1, 80, SYN))), asked_too_often),
    Case(203, from_client(ipv4(CLIENT.ip, "10.1.0.99", udp(1, 2))), stranger),
]  # fmt: skip

NOWHERE = "203.0.113.1"
ROUTED = [Case(169, from_client(ipv4(CLIENT.ip, NOWHERE, udp(1, 2))), everything)]
"""Where the programs do the routing."""

RESTRICTED = [
    Case(MISSED_TAIL_CALL, ethernet(CLIENT.mac, BROADCAST, arp(1, CLIENT.mac, CLIENT.ip, bytes(6), GATEWAY), ETH_ARP)),
    Case(
        FRAG_NOSUPPORT, from_client(ipv4(CLIENT.ip, SERVER.ip, udp(1, 2).octets, protocol=UDP, more=True)), everything
    ),
    Case(
        NO_SERVICE,
        from_client(ipv4(CLIENT.ip, VIP, tcp(1, 80, SYN))),
        lambda node: (everything(node), node.serve(VIP, 80, TCP, [])),
    ),
]
"""Where fragments and answers for services without backends are switched off, and a program is missing."""


def check(case: Case, node: Node) -> None:
    case.arrange(node)
    outcome = node.send(CLIENT, case.frame)
    assert outcome.drop_reason == case.reason
    assert sum(count for (reason, _), count in node.metrics().items() if reason == case.reason) == 1
    assert said_by_the_monitor(outcome).startswith(f"xx drop ({REASONS[case.reason]}")


def said_by_the_monitor(outcome: Outcome) -> str:
    [data] = [event for event in outcome.events if event[0] == 1]
    event = decode(data)
    assert isinstance(event, Drop)
    return Text(Names()).write(0, 0, event, packet_of(event, data, Dissector()), data)


@pytest.mark.parametrize("case", CASES, ids=lambda case: REASONS[case.reason])
def test_provoked(case: Case, node: Node) -> None:
    try:
        check(case, node)
    finally:
        node.datapath.clear("cilium_lb4_services_v2", "cilium_lb4_reverse_nat", "cilium_ratelimit")


@pytest.mark.parametrize("case", ROUTED, ids=lambda case: REASONS[case.reason])
def test_provoked_where_programs_route(case: Case, routing_node: Node) -> None:
    subprocess.run(["ip", "route", "add", "blackhole", NOWHERE], check=True)
    try:
        check(case, routing_node)
    finally:
        subprocess.run(["ip", "route", "del", NOWHERE], check=True)


@pytest.fixture(scope="module")
def restricted(network: None) -> Iterator[Datapath]:  # noqa: ARG001  a fixture for its effect
    options = {
        **OPTIONS,
        "enable_ipv4_fragments": False,
        "enable_ipv6_fragments": False,
        "enable_no_backend_response": False,
    }
    with Datapath([pod.endpoint for pod in PODS], options) as datapath:
        datapath.calls(CLIENT.id).delete(CALL_ARP.to_bytes(4, "little"))
        yield datapath


@pytest.mark.parametrize("case", RESTRICTED, ids=lambda case: REASONS[case.reason])
def test_provoked_where_much_is_off(case: Case, restricted: Datapath) -> None:
    check(case, Node(restricted))


def test_no_reason_is_left_out() -> None:
    """A program that learns to drop for another reason shows here."""
    given = {int(number) for number in re.findall(r"^\tDROP_\w+ = -(\d+),", HEADER.read_text(), re.MULTILINE)}
    provoked = {case.reason for case in (*CASES, *ROUTED, *RESTRICTED)}
    assert given == provoked | set(OUT_OF_REACH)
    assert not provoked & set(OUT_OF_REACH)
    assert given <= set(REASONS)
