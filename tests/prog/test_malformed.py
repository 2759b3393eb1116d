"""Frames that no honest stack sends: nothing that policy does not allow ever passes, whatever the bytes are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.prog.actors import CLIENT, GATEWAY6, SERVER, Node, egress, ingress
from tests.prog.datapath import Outcome
from tests.prog.expect import DROPPED, PASS, REDIRECTED
from tests.prog.packets import (
    DESTINATION_OPTIONS,
    ECHO_REQUEST,
    ECHO_REQUEST6,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    FRAGMENT,
    ICMPV6,
    SYN,
    TCP,
    UDP,
    arp,
    destination_options,
    ethernet,
    fragment_header,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    sctp,
    solicitation,
    tcp,
    udp,
)  # fmt: skip

VIP, VIP6 = "10.96.0.1", "fd96::1"

FRAMES = {
    "TCP": ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN)),
    "UDP": ipv4(CLIENT.ip, SERVER.ip, udp(1000, 53)),
    "SCTP": ipv4(CLIENT.ip, SERVER.ip, sctp(1000, 53)),
    "ping": ipv4(CLIENT.ip, SERVER.ip, icmp(ECHO_REQUEST)),
    "options": ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN), options=bytes(40)),
    "first fragment": ipv4(CLIENT.ip, SERVER.ip, udp(1000, 53).octets, protocol=UDP, more=True),
    "service": ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN)),
    "first fragment to a service": ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN).octets, protocol=TCP, more=True),
    "service over IPv6": ipv6(CLIENT.ip6, VIP6, tcp(1000, 80, SYN)),
    "TCP over IPv6": ipv6(CLIENT.ip6, SERVER.ip6, tcp(1000, 80, SYN)),
    "ping over IPv6": ipv6(CLIENT.ip6, SERVER.ip6, icmp6(ECHO_REQUEST6)),
    "solicitation": ipv6(CLIENT.ip6, "ff02::1", solicitation(GATEWAY6, CLIENT.mac)),
    "extensions": ipv6(
        CLIENT.ip6, SERVER.ip6, icmp6(ECHO_REQUEST6), next_header=DESTINATION_OPTIONS,
        extensions=destination_options(DESTINATION_OPTIONS) + destination_options(ICMPV6),
    ),
    "IPv6 fragment": ipv6(
        CLIENT.ip6, SERVER.ip6, udp(1000, 53).octets, next_header=FRAGMENT,
        extensions=fragment_header(UDP, 1, 0, True),
    ),
}  # fmt: skip

ETHERNET_HEADER = 14
FROM_INGRESS_PROXY = 0xA00
IP_HEADERS = {ETH_IPV4: 20, ETH_IPV6: 40}


@pytest.fixture
def served(node: Node) -> Node:
    """A node on which the services of the frames above have their backends."""
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8080)])
    node.serve(VIP6, 80, TCP, [(SERVER.ip6, 8080)], index=8)
    return node


def ran(run: Callable[[], Outcome], frame: bytes) -> Outcome | None:
    """None: the kernel does not test programs on so short a frame. Linux 6.18 wants the whole IP header."""
    try:
        return run()
    except OSError:
        kind = int.from_bytes(frame[12:14], "big")
        assert len(frame) < ETHERNET_HEADER + IP_HEADERS.get(kind, 1)
        return None


def sent(node: Node, frame: bytes) -> Outcome | None:
    return ran(lambda: node.send(CLIENT, frame), frame)


@pytest.mark.parametrize("packet", FRAMES.values(), ids=FRAMES)
def test_cut_at_every_byte(packet: bytes, served: Node) -> None:
    """Everything is allowed, yet a packet without all the headers that are looked at is dropped, for one reason."""
    node = served
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    whole = ethernet(CLIENT.mac, CLIENT.router_mac, packet)
    survivors = []
    for length in range(len(whole)):
        outcome = sent(node, whole[:length])
        if outcome is not None and outcome.verdict != DROPPED:
            survivors.append(length)
        elif outcome is not None:
            assert outcome.drop_reason is not None
    # Once the headers are there the rest is payload: no hole in between.
    assert survivors == list(range(survivors[0] if survivors else len(whole), len(whole)))
    assert not survivors or survivors[0] > ETHERNET_HEADER + 20
    assert sent(node, whole).verdict != DROPPED  # type: ignore[union-attr]


@pytest.mark.parametrize("packet", FRAMES.values(), ids=FRAMES)
def test_cut_at_every_byte_on_the_way_in(packet: bytes, node: Node) -> None:
    node.allow(SERVER, ingress())
    whole = ethernet(SERVER.router_mac, SERVER.mac, packet)
    for length in range(len(whole)):
        cut = whole[:length]
        for run in (lambda: node.arrive(SERVER, cut, CLIENT.identity), lambda: node.deliver(SERVER, cut)):  # noqa: B023
            outcome = ran(run, cut)
            assert outcome is None or (outcome.drop_reason is None) == (outcome.verdict != DROPPED)


KINDS = st.sampled_from([ETH_IPV4, ETH_IPV6, ETH_ARP])
RANDOM = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damaged(draw: Callable[..., object]) -> bytes:
    """One of the frames above with some bytes changed, some cut off or some added."""
    octets = bytearray(draw(st.sampled_from(list(FRAMES.values()))))  # type: ignore[call-overload]
    changes = draw(st.lists(st.tuples(st.integers(0, len(octets) - 1), st.integers(0, 255)), max_size=6))
    for at, value in changes:  # type: ignore[attr-defined]
        octets[at] = value
    del octets[draw(st.integers(1, len(octets))) :]  # type: ignore[misc]
    return bytes(octets) + draw(st.binary(max_size=64))  # type: ignore[operator]


@RANDOM
@given(payload=damaged() | st.binary(min_size=1, max_size=200), kind=KINDS)
def test_nothing_passes_without_policy(payload: bytes, kind: int, node: Node) -> None:
    """With an empty policy map only address resolution leaves the endpoint: no packet reaches the pod beside it,
    and none the stack."""
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, payload, kind)
    outcome = sent(node, frame)
    if outcome is None or outcome.verdict == DROPPED:
        return
    redirect = outcome.redirect
    if redirect is not None:
        assert redirect.ifindex == CLIENT.endpoint.ifindex, "answered, not forwarded"
    elif kind != ETH_ARP:
        assert kind == ETH_IPV6
        # Fragmentation needed is let through for IPv4 only; what is left are neighbour messages.
        assert payload[6] == ICMPV6
        assert payload[40] in (135, 136)


@RANDOM
@given(payload=damaged() | st.binary(min_size=1, max_size=200), kind=KINDS)
def test_no_service_is_a_way_around_policy(payload: bytes, kind: int, served: Node) -> None:
    """What goes to a service needs to be allowed to its backend."""
    outcome = sent(served, ethernet(CLIENT.mac, CLIENT.router_mac, payload, kind))
    if outcome is not None and outcome.redirect is not None:
        assert outcome.redirect.ifindex == CLIENT.endpoint.ifindex, "answered, not forwarded"


@RANDOM
@given(payload=damaged() | st.binary(min_size=1, max_size=200), kind=KINDS)
def test_nothing_enters_without_policy(payload: bytes, kind: int, node: Node) -> None:
    frame = ethernet(SERVER.router_mac, SERVER.mac, payload, kind)
    outcome = ran(lambda: node.arrive(SERVER, frame, CLIENT.identity), frame)
    assert outcome is None or outcome.verdict == DROPPED


@RANDOM
@given(payload=damaged() | st.binary(min_size=1, max_size=200), kind=KINDS, mark=st.integers(0, 2**32 - 1))
def test_nothing_enters_by_the_interface_without_policy(payload: bytes, kind: int, mark: int, node: Node) -> None:
    """Whoever the mark says sends it, but for the proxy, which has applied the policy itself."""
    frame = ethernet(SERVER.router_mac, SERVER.mac, payload, kind)
    outcome = ran(lambda: node.deliver(SERVER, frame, mark), frame)
    if outcome is None or outcome.verdict == DROPPED or mark & 0xF00 == FROM_INGRESS_PROXY:
        return
    assert (outcome.verdict, outcome.mark) == (PASS, 0)
    assert kind == ETH_ARP or (kind == ETH_IPV6 and payload[6] == ICMPV6 and payload[40] in (135, 136))


@RANDOM
@given(payload=damaged() | st.binary(min_size=1, max_size=200), kind=st.integers(0, 0xFFFF) | KINDS,
       mark=st.integers(0, 2**32 - 1))  # fmt: skip
def test_every_frame_ends_somewhere(payload: bytes, kind: int, mark: int, served: Node) -> None:
    """With everything allowed, each entry gives every frame one of three verdicts, and each drop a reason."""
    served.allow(CLIENT, egress(), ingress())
    served.allow(SERVER, egress(), ingress())
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, payload, kind)
    for run in (
        lambda: served.send(CLIENT, frame),
        lambda: served.arrive(SERVER, frame, CLIENT.identity),
        lambda: served.arrive(SERVER, frame, mark >> 8, from_host=True),
        lambda: served.deliver(SERVER, frame, mark),
    ):
        outcome = ran(run, frame)
        assert outcome is None or outcome.verdict in (PASS, DROPPED, REDIRECTED)
        assert outcome is None or (outcome.drop_reason is None) == (outcome.verdict != DROPPED)


@RANDOM
@given(payload=damaged(), kind=st.sampled_from([ETH_IPV4, ETH_IPV6]))
def test_only_the_endpoints_own_address_leaves(payload: bytes, kind: int, node: Node) -> None:
    """Everything is allowed; still nobody sends in another's name, and nothing is dropped in silence."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    outcome = sent(node, ethernet(CLIENT.mac, CLIENT.router_mac, payload, kind))
    if outcome is None:
        return
    assert (outcome.drop_reason is None) == (outcome.verdict != DROPPED)
    forwarded = outcome.redirect is not None and outcome.redirect.ifindex != CLIENT.endpoint.ifindex
    if forwarded and kind == ETH_IPV4:
        assert outcome.packet[26:30] == CLIENT.endpoint.ipv4
    elif forwarded:
        assert outcome.packet[22:38] == CLIENT.endpoint.ipv6


def test_arp_of_random_bytes(node: Node) -> None:
    """An ARP frame is answered or passed, never forwarded to a pod."""
    request = arp(1, CLIENT.mac, CLIENT.ip, bytes(6), SERVER.ip)
    for at in range(len(request)):
        broken = request[:at] + bytes([request[at] ^ 0xFF]) + request[at + 1 :]
        outcome = node.send(CLIENT, ethernet(CLIENT.mac, b"\xff" * 6, broken, ETH_ARP))
        assert outcome.redirect is None or outcome.redirect.ifindex == CLIENT.endpoint.ifindex
