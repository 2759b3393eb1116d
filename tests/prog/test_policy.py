"""Which entry of the policy map decides, and what it does."""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

import pytest

from tests.prog.actors import CLIENT, OPTIONS, PODS, REMOTE, REMOTE_IDENTITY, SERVER, Node, PolicyEntry, egress, ingress
from tests.prog.datapath import Datapath, Outcome
from tests.prog.expect import AUTH_REQUIRED, DENIED, DENIED_EXPLICITLY, DROPPED, PASS, Expect, delivered, dropped
from tests.prog.packets import ECHO_REQUEST, SYN, TCP, UDP, UNREACHABLE, ethernet, icmp, ipv4, tcp, udp

PEER = SERVER.identity
NOBODY = 4711

L3_ONLY, L3_L4, L4_ONLY, ALL, L3_PROTO, PROTO_ONLY = 1, 2, 3, 4, 5, 6
NONE = 0


class Case(NamedTuple):
    name: str
    entries: list[PolicyEntry]
    code: int
    match: int
    proxy: int = 0


CASES = [
    Case("nothing", [], -DENIED, NONE),
    Case("anyone, anything", [egress()], 0, ALL),
    Case("the peer", [egress(PEER)], 0, L3_ONLY),
    Case("someone else", [egress(NOBODY)], -DENIED, NONE),
    Case("the other direction", [ingress(PEER)], -DENIED, NONE),
    Case("the peer's protocol", [egress(PEER, TCP)], 0, L3_PROTO),
    Case("another protocol", [egress(PEER, UDP)], -DENIED, NONE),
    Case("anyone's protocol", [egress(0, TCP)], 0, PROTO_ONLY),
    Case("the peer's port", [egress(PEER, TCP, 80)], 0, L3_L4),
    Case("another port", [egress(PEER, TCP, 81)], -DENIED, NONE),
    Case("anyone's port", [egress(0, TCP, 80)], 0, L4_ONLY),
    Case("a range around the port", [egress(PEER, TCP, 64, bits=10)], 0, L3_L4),
    Case("a range beside the port", [egress(PEER, TCP, 128, bits=9)], -DENIED, NONE),
    Case("deny the peer, allow anyone", [egress(PEER, deny=True), egress()], -DENIED_EXPLICITLY, L3_ONLY),
    Case("allow the peer, deny anyone", [egress(PEER), egress(deny=True)], -DENIED_EXPLICITLY, ALL),
    Case(
        "allow the peer, deny anyone's port", [egress(PEER), egress(0, TCP, 80, deny=True)],
        -DENIED_EXPLICITLY, L4_ONLY,
    ),
    Case("allow the peer's port, deny anyone", [egress(PEER, TCP, 80), egress(deny=True)], -DENIED_EXPLICITLY, ALL),
    Case("deny the peer, allow its port", [egress(PEER, deny=True), egress(PEER, TCP, 80)], 0, L3_L4),
    Case("allow the peer, deny its port", [egress(PEER), egress(PEER, TCP, 80, deny=True)], -DENIED_EXPLICITLY, L3_L4),
    Case(
        "deny the peer, allow anyone's port", [egress(PEER, deny=True), egress(0, TCP, 80)],
        -DENIED_EXPLICITLY, L3_ONLY,
    ),
    Case("anyone's port is longer than the peer", [egress(PEER), egress(0, TCP, 80)], 0, L4_ONLY),
    Case("the peer's port before anyone's", [egress(PEER, TCP, 80), egress(0, TCP, 80)], 0, L3_L4),
    Case("a proxy", [egress(PEER, TCP, 80, proxy_port=10080)], 10080, L3_L4, 10080),
    Case(
        "a proxy of higher priority, although for anyone and any port",
        [egress(PEER, TCP, 80, proxy_port=10080, priority=1), egress(0, TCP, proxy_port=10081, priority=2)],
        10081, PROTO_ONLY, 10081,
    ),
    Case(
        "a proxy of lower priority",
        [egress(PEER, TCP, proxy_port=10080, priority=2), egress(0, TCP, 80, proxy_port=10081, priority=1)],
        10080, L3_PROTO, 10080,
    ),
    Case(
        "a deny beats a proxy of any priority",
        [egress(PEER, TCP, 80, proxy_port=10080, priority=9), egress(deny=True)],
        -DENIED_EXPLICITLY, ALL,
    ),
]  # fmt: skip


def syn(port: int = 80) -> bytes:
    return ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, SERVER.ip, tcp(1000, port, SYN)))


def verdicts(outcome: Outcome) -> list[tuple[int, int, int]]:
    """Endpoint, verdict (a proxy's port in host order) and kind of match of each verdict notification."""
    found = []
    for event in outcome.events:
        if event[0] == 5:
            endpoint, code, bits = *struct.unpack_from("<2xH", event), *struct.unpack_from("<i", event, 20), event[27]
            if code > 0:
                code = int.from_bytes(code.to_bytes(2, "little"), "big")
            found.append((endpoint, code, bits >> 3 & 7))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_precedence(case: Case, node: Node) -> None:
    node.allow(SERVER, ingress())
    node.allow(CLIENT, *case.entries)
    outcome = node.send(CLIENT, syn())
    assert verdicts(outcome)[0] == (CLIENT.id, case.code, case.match)
    if case.code < 0:
        dropped(-case.code).check(outcome)
    elif case.proxy:
        assert outcome.verdict == PASS
        assert outcome.mark == 0x200 | int.from_bytes(case.proxy.to_bytes(2, "big"), "little") << 16
    else:
        delivered(SERVER.endpoint.ifindex).check(outcome)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_directions_decide_alike(case: Case, node: Node) -> None:
    """The same entries for the way in, with the same peer."""
    mirrored = [entry._replace(egress=not entry.egress) for entry in case.entries]
    node.allow(CLIENT, *mirrored)
    frame = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(SERVER.ip, CLIENT.ip, tcp(1000, 80, SYN)))
    outcome = node.arrive(CLIENT, frame, PEER)
    assert verdicts(outcome) == [(CLIENT.id, case.code, case.match)]
    assert (outcome.verdict == DROPPED) == (case.code < 0)


def test_the_receiver_decides_too(node: Node) -> None:
    node.allow(CLIENT, egress())
    outcome = node.send(CLIENT, syn())
    dropped(DENIED).check(outcome)
    assert verdicts(outcome) == [(CLIENT.id, 0, ALL), (SERVER.id, -DENIED, NONE)]
    node.allow(SERVER, ingress(CLIENT.identity, TCP, 80))
    delivered(SERVER.endpoint.ifindex).check(node.send(CLIENT, syn()))
    dropped(DENIED).check(node.send(CLIENT, syn(81)))


def test_icmp_is_matched_by_its_type(node: Node) -> None:
    ping = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, icmp(ECHO_REQUEST)))
    node.allow(CLIENT, egress(0, 1, 13))
    dropped(DENIED).check(node.send(CLIENT, ping))
    node.allow(CLIENT, egress(0, 1, ECHO_REQUEST))
    Expect(PASS).check(node.send(CLIENT, ping))


@pytest.mark.parametrize(("code", "expected"), [(4, Expect(PASS)), (3, dropped(DENIED))], ids=["needed", "other"])
def test_fragmentation_needed_always_passes(code: int, expected: Expect, node: Node) -> None:
    """Without it connections hang; other errors need a connection or an entry."""
    packet = ipv4(CLIENT.ip, REMOTE, icmp(UNREACHABLE, code, payload=bytes(28)))
    expected.check(node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet)))


def test_authentication(node: Node) -> None:
    """An entry may demand it; the map says who has it, and until when."""
    node.allow(CLIENT, egress(REMOTE_IDENTITY, auth=1))
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1, 2)))
    dropped(AUTH_REQUIRED).check(node.send(CLIENT, frame))
    key = struct.pack("<IIHBB", CLIENT.identity, REMOTE_IDENTITY, 0, 1, 0)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) >> 9
    found = node.datapath.map("cilium_auth_map")
    found.update(key, struct.pack("<Q", now - 1))
    dropped(AUTH_REQUIRED).check(node.send(CLIENT, frame))
    found.update(key, struct.pack("<Q", now + (60 * 10**9 >> 9)))
    Expect(PASS).check(node.send(CLIENT, frame))


def test_the_demand_to_authenticate_is_told(node: Node) -> None:
    """In verdict and drop. Who comes from an unknown address cannot have done it, whatever the map says."""
    node.allow(SERVER, ingress(REMOTE_IDENTITY, auth=2))
    key = struct.pack("<IIHBB", SERVER.identity, REMOTE_IDENTITY, 0, 2, 0)
    node.datapath.map("cilium_auth_map").update(key, struct.pack("<Q", 2**63))
    known = ethernet(SERVER.router_mac, SERVER.mac, ipv4(REMOTE, SERVER.ip, udp(1, 2)))
    unknown = ethernet(SERVER.router_mac, SERVER.mac, ipv4("10.2.0.99", SERVER.ip, udp(1, 2)))
    delivered(SERVER.endpoint.ifindex).check(node.arrive(SERVER, known, REMOTE_IDENTITY))
    outcome = node.arrive(SERVER, unknown, REMOTE_IDENTITY)
    dropped(AUTH_REQUIRED).check(outcome)
    verdict, drop = outcome.events
    assert (verdict[28], drop[31]) == (0, 2)
    node.datapath.clear("cilium_auth_map")
    verdict, drop = node.arrive(SERVER, known, REMOTE_IDENTITY).events
    assert (verdict[28], drop[31]) == (2, 2)


def test_entries_count_what_they_decide(node: Node) -> None:
    """Under the entry's own key: what its prefix leaves open is zero."""
    node.allow(CLIENT, egress(0, TCP, 64, bits=10))
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, tcp(1, 80, SYN)))
    node.send(CLIENT, frame)
    node.send(CLIENT, frame)
    found = node.datapath.map("cilium_policystats")
    ((key, value),) = found.entries()
    assert key == struct.pack("<HBBIBB", CLIENT.id, 0, 18, 0, 1, TCP) + (64).to_bytes(2, "big")
    counts = [struct.unpack("<QQ", slot) for slot in found.split(value)]
    assert (sum(packets for packets, _ in counts), sum(octets for _, octets in counts)) == (2, 2 * len(frame))


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("options", "direct", "denied"),
    [
        ({}, dropped(DENIED), dropped(DENIED_EXPLICITLY)),
        ({"enforce_egress": False}, Expect(PASS), dropped(DENIED_EXPLICITLY)),
        ({"enforce_ingress": False}, dropped(DENIED), dropped(DENIED_EXPLICITLY)),
        ({"policy_audit_mode": True}, Expect(PASS), Expect(PASS)),
    ],
    ids=["enforced", "egress not enforced", "ingress not enforced", "audit"],
)
def test_enforcement(options: dict[str, int | bytes], direct: Expect, denied: Expect) -> None:
    """Where a direction is not enforced what no entry speaks of passes; what one denies does not. Audit only tells."""
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1, 2)))
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, **options}) as datapath:
        node = Node(datapath)
        direct.check(node.send(CLIENT, frame))
        node = Node(datapath)
        node.allow(CLIENT, egress(REMOTE_IDENTITY, deny=True))
        outcome = node.send(CLIENT, frame)
        denied.check(outcome)
        audited = [event[27] >> 6 & 1 for event in outcome.events if event[0] == 5]
        assert audited == [int("policy_audit_mode" in options)]


def test_a_change_counts_at_once(node: Node) -> None:
    """Also for connections that are open."""
    entry = egress(REMOTE_IDENTITY, UDP, 53)
    node.allow(CLIENT, entry)
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1000, 53)))
    Expect(PASS).check(node.send(CLIENT, frame))
    node.disallow(CLIENT, entry)
    dropped(DENIED).check(node.send(CLIENT, frame))
