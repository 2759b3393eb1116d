"""Fragments: the ports of the first are the ports of all."""

from __future__ import annotations

import pytest

from tests.prog.actors import CLIENT, OPTIONS, PODS, SERVER, Node, egress, ingress
from tests.prog.datapath import Datapath
from tests.prog.expect import CT_INVALID, DENIED, INVALID, NO_FIRST_FRAGMENT, Expect, delivered, dropped
from tests.prog.packets import (
    DESTINATION_OPTIONS,
    ECHO_REQUEST,
    ECHO_REQUEST6,
    FRAGMENT,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    destination_options,
    ethernet,
    fragment_header,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    udp,
)

PORTS = udp(1000, 53, bytes(16)).octets
DELIVERED = delivered(SERVER.endpoint.ifindex)


def fragment4(payload: bytes, offset: int, more: bool, *, protocol: int = UDP, identification: int = 1) -> bytes:
    packet = ipv4(
        CLIENT.ip, SERVER.ip, payload, protocol=protocol, offset=offset, more=more, identification=identification
    )
    return ethernet(CLIENT.mac, CLIENT.router_mac, packet)


def fragment6(payload: bytes, offset: int, more: bool, *, protocol: int = UDP, identification: int = 1) -> bytes:
    header = fragment_header(protocol, identification, offset, more)
    packet = ipv6(CLIENT.ip6, SERVER.ip6, payload, next_header=FRAGMENT, extensions=header)
    return ethernet(CLIENT.mac, CLIENT.router_mac, packet)


FAMILIES = pytest.mark.parametrize("fragment", [fragment4, fragment6], ids=["IPv4", "IPv6"])


@FAMILIES
def test_later_fragments_follow_the_first(fragment, node: Node) -> None:  # type: ignore[no-untyped-def]
    """In any order after it. Only its ports are allowed, so they were found again."""
    node.allow(CLIENT, egress(0, UDP, 53))
    node.allow(SERVER, ingress(0, UDP, 53))
    DELIVERED.check(node.send(CLIENT, fragment(PORTS, 0, True)))
    DELIVERED.check(node.send(CLIENT, fragment(bytes(16), 48, False)))
    DELIVERED.check(node.send(CLIENT, fragment(bytes(24), 24, True)))
    assert node.metrics()[9, 2] == node.metrics()[9, 1] == 3


@FAMILIES
def test_a_later_fragment_alone_is_dropped(fragment, node: Node) -> None:  # type: ignore[no-untyped-def]
    """Also where everything is allowed, and also one of another datagram or protocol than the one seen."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, fragment(bytes(16), 24, False)))
    DELIVERED.check(node.send(CLIENT, fragment(PORTS, 0, True)))
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, fragment(bytes(16), 24, False, identification=2)))
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, fragment(bytes(16), 24, False, protocol=TCP)))


def test_what_was_cut_may_begin_with_another_extension_header(node: Node) -> None:
    """The datagram is known by what its fragments say, not by what is in the first."""
    node.allow(CLIENT, egress(0, UDP, 53))
    node.allow(SERVER, ingress(0, UDP, 53))
    first = destination_options(UDP) + PORTS
    DELIVERED.check(node.send(CLIENT, fragment6(first, 0, True, protocol=DESTINATION_OPTIONS)))
    assert {key[4] for key, _ in node.entries("cilium_ipv6_frag_datagrams")} == {DESTINATION_OPTIONS}


@FAMILIES
def test_what_policy_denies_of_the_first_it_denies_of_all(fragment, node: Node) -> None:  # type: ignore[no-untyped-def]
    node.allow(CLIENT, egress(0, UDP, 54))
    dropped(DENIED).check(node.send(CLIENT, fragment(PORTS, 0, True)))
    dropped(DENIED).check(node.send(CLIENT, fragment(udp(1000, 54).octets, 24, False)))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (fragment4(PORTS[:3], 0, True), dropped(CT_INVALID)),
        (fragment4(PORTS[:8], 0, True, protocol=TCP), dropped(CT_INVALID)),
        (fragment4(PORTS, 0, True, protocol=ICMP), dropped(INVALID)),
        (fragment6(PORTS, 0, False), DELIVERED),
    ],
    ids=["no room for ports", "no room for TCP flags", "ICMP", "IPv6: all in one"],
)
def test_odd_first_fragments(frame: bytes, expected: Expect, node: Node) -> None:
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    expected.check(node.send(CLIENT, frame))


PINGS = {
    fragment4: (ICMP, icmp(ECHO_REQUEST, 0, 7, bytes(16)).octets, ECHO_REQUEST),
    fragment6: (ICMPV6, icmp6(ECHO_REQUEST6, 0, 7, bytes(16)).octets, ECHO_REQUEST6),
}


@FAMILIES
def test_large_pings(fragment, node: Node) -> None:  # type: ignore[no-untyped-def]
    """Policy sees an echo request in every fragment, and the answer is known by the identifier."""
    protocol, head, kind = PINGS[fragment]
    node.allow(CLIENT, egress(0, protocol, kind))
    node.allow(SERVER, ingress(0, protocol, kind))
    DELIVERED.check(node.send(CLIENT, fragment(head, 0, True, protocol=protocol)))
    DELIVERED.check(node.send(CLIENT, fragment(bytes(16), 24, False, protocol=protocol)))


@FAMILIES
def test_a_large_ping_that_is_not_allowed(fragment, node: Node) -> None:  # type: ignore[no-untyped-def]
    """That another type is does not help any of its fragments, nor a later one alone."""
    protocol, head, kind = PINGS[fragment]
    node.allow(CLIENT, egress(0, protocol, kind + 1))
    dropped(DENIED).check(node.send(CLIENT, fragment(head, 0, True, protocol=protocol)))
    dropped(DENIED).check(node.send(CLIENT, fragment(bytes(16), 24, False, protocol=protocol)))
    lone = fragment(bytes(16), 24, False, protocol=protocol, identification=9)
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, lone))


@pytest.mark.usefixtures("network")
def test_large_pings_as_in_the_original() -> None:
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, "enable_icmp_fragments": False}) as datapath:
        node = Node(datapath)
        node.allow(CLIENT, egress())
        dropped(INVALID).check(node.send(CLIENT, fragment4(PINGS[fragment4][1], 0, True, protocol=ICMP)))
