"""What the monitor is told: how much, and how much less at the aggregation levels."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from tests.prog.actors import CLIENT, OPTIONS, PODS, REMOTE, SERVER, WORLD, Node, egress, ingress
from tests.prog.datapath import Datapath, Outcome
from tests.prog.expect import PASS
from tests.prog.packets import ACK, FIN, SYN, ethernet, ipv4, ipv6, tcp, udp

DROP, DEBUG, TRACE, VERDICT = 1, 2, 4, 5


def kinds(outcome: Outcome) -> list[tuple[int, int]]:
    """Type and subtype of each event."""
    return [(event[0], event[1]) for event in outcome.events]


def to_server(flags: int) -> bytes:
    return ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, flags)))


def test_a_new_connection_is_told_in_full(node: Node) -> None:
    """From the pod, both verdicts, to the pod: with identities, endpoint, interface, reason and original address."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    outcome = node.send(CLIENT, to_server(SYN))
    assert kinds(outcome) == [(TRACE, 5), (VERDICT, 0), (VERDICT, 0), (TRACE, 0)]
    delivered = outcome.events[-1]
    labels_and_id = struct.unpack_from("<IIHBBI", delivered, 16)
    assert labels_and_id == (CLIENT.identity, SERVER.identity, SERVER.id, 0, 0, SERVER.endpoint.ifindex)
    assert delivered[32:36] == CLIENT.endpoint.ipv4
    assert delivered[48:] == outcome.packet


def test_ipv6_is_marked(node: Node) -> None:
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    packet = ethernet(CLIENT.mac, CLIENT.router_mac, ipv6(CLIENT.ip6, SERVER.ip6, udp(1, 2)))
    delivered = node.send(CLIENT, packet).events[-1]
    assert delivered[27] == 1
    assert delivered[32:48] == CLIENT.endpoint.ipv6


@pytest.mark.parametrize(("size", "captured"), [(100, 128), (10, 52)], ids=["long", "short"])
def test_a_report_carries_the_head_of_the_packet(size: int, captured: int, node: Node) -> None:
    node.allow(CLIENT, egress())
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, WORLD, udp(1000, 53, bytes(size))))
    outcome = node.send(CLIENT, frame)
    to_stack = outcome.events[-1]
    length, carried = struct.unpack_from("<IH", to_stack, 8)
    assert (to_stack[1], length, carried, len(to_stack) - 48) == (3, len(frame), captured, captured)


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {TRACE: 10, VERDICT: 2}),
        ({"monitor_aggregation": 1}, {TRACE: 5, VERDICT: 2}),
        # The first packet, the first ACK and the FIN; the second and third ACK say nothing new.
        ({"monitor_aggregation": 3}, {TRACE: 3, VERDICT: 2}),
        ({"enable_trace_notify": False}, {VERDICT: 2}),
        ({"enable_policy_verdict_notify": False}, {TRACE: 10}),
        ({"policy_verdict_log_filter": 1}, {TRACE: 10, VERDICT: 1}),
        ({"events_rate_limit": 4, "events_burst_limit": 4}, {TRACE: 2, VERDICT: 2}),
    ],
    ids=["all", "not on receipt", "changes only", "no traces", "no verdicts", "ingress verdicts", "four a second"],
)
def test_aggregation(options: dict[str, int | bytes], expected: dict[int, int]) -> None:
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, **options}) as datapath:
        node = Node(datapath)
        node.allow(CLIENT, egress())
        node.allow(SERVER, ingress())
        told = Counter(
            event[0]
            for flags in (SYN, ACK, ACK, ACK, FIN | ACK)
            for event in node.send(CLIENT, to_server(flags)).events
        )
        assert told == expected


@pytest.mark.usefixtures("network")
def test_through_the_stack_it_enters_once() -> None:
    """Where routes lead to the pods' interfaces, the stack carries the packet and the sender's identity there."""
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, "enable_endpoint_routes": True}) as datapath:
        node = Node(datapath)
        node.allow(CLIENT, egress())
        node.allow(SERVER, ingress(CLIENT.identity))
        left = node.send(CLIENT, to_server(SYN))
        assert (left.verdict, left.packet) == (PASS, to_server(SYN))
        assert kinds(left) == [(TRACE, 5), (VERDICT, 0), (TRACE, 3)]
        entered = node.deliver(SERVER, left.packet, left.mark)
        assert entered.verdict == PASS
        assert kinds(entered) == [(TRACE, 8), (VERDICT, 0), (TRACE, 0)]
        assert {struct.unpack_from("<I", event, 16)[0] for event in entered.events} == {CLIENT.identity}


@pytest.mark.usefixtures("network")
def test_debug_messages() -> None:
    """They come in between, and change nothing else."""
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, "debug": True}) as datapath:
        node = Node(datapath)
        frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1, 2)))
        outcome = node.send(CLIENT, frame)
        assert kinds(outcome) == [(TRACE, 5), (DEBUG, 15), (DEBUG, 5), (VERDICT, 0), (DROP, 133)]
        assert struct.unpack_from("<II", outcome.events[2], 8) == (CLIENT.identity, 3030)
        node.allow(CLIENT, egress())
        node.allow(SERVER, ingress())
        assert (DEBUG, 2) in kinds(node.send(CLIENT, to_server(SYN)))


@pytest.mark.usefixtures("network")
def test_drops_are_counted_even_if_not_told() -> None:
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, "enable_drop_notify": False}) as datapath:
        node = Node(datapath)
        frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1, 2)))
        assert DROP not in [kind for kind, _ in kinds(node.send(CLIENT, frame))]
        assert node.metrics() == {(133, 2): 1}
