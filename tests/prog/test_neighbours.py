"""Address resolution: the endpoint finds its router's MAC behind every address but its own."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import pytest

from tests.prog.actors import CLIENT, GATEWAY, GATEWAY6, SERVER, WORLD, Node, egress
from tests.prog.datapath import Redirect
from tests.prog.expect import INVALID, PASS, REDIRECTED, UNKNOWN_TARGET, Expect, dropped
from tests.prog.packets import (
    BROADCAST,
    ETH_ARP,
    SYN,
    TCP,
    Segment,
    advertisement,
    arp,
    checksum,
    ethernet,
    ipv6,
    solicitation,
    tcp,
)  # fmt: skip

ALL_NODES = bytes.fromhex("333300000001")
NONCE = bytes.fromhex("0e01a1b2c3d4e5f6")
BACK = Redirect("redirect", CLIENT.endpoint.ifindex)


def asks(target: str, destination: bytes = BROADCAST) -> bytes:
    return ethernet(CLIENT.mac, destination, arp(1, CLIENT.mac, CLIENT.ip, bytes(6), target), ETH_ARP)


def answered(target: str) -> Expect:
    frame = ethernet(CLIENT.router_mac, CLIENT.mac, arp(2, CLIENT.router_mac, target, CLIENT.mac, CLIENT.ip), ETH_ARP)
    return Expect(REDIRECTED, packet=frame, redirect=BACK)


class Case(NamedTuple):
    name: str
    frame: bytes
    expected: Expect


ARP = [
    Case("the gateway", asks(GATEWAY), answered(GATEWAY)),
    Case("the gateway, asked directly", asks(GATEWAY, CLIENT.router_mac), answered(GATEWAY)),
    Case("another pod", asks(SERVER.ip), answered(SERVER.ip)),
    Case("the world", asks(WORLD), answered(WORLD)),
    Case("itself", asks(CLIENT.ip), Expect(PASS, packet=asks(CLIENT.ip))),
    Case("asked of another MAC", asks(GATEWAY, SERVER.mac), Expect(PASS, packet=asks(GATEWAY, SERVER.mac))),
    Case("cut short", asks(GATEWAY)[:41], Expect(PASS, packet=asks(GATEWAY)[:41])),
    Case(
        "an answer",
        ethernet(CLIENT.mac, CLIENT.router_mac, arp(2, CLIENT.mac, CLIENT.ip, CLIENT.router_mac, GATEWAY), ETH_ARP),
        Expect(PASS),
    ),
]


@pytest.mark.parametrize("case", ARP, ids=lambda case: case.name)
def test_arp(case: Case, node: Node) -> None:
    case.expected.check(node.send(CLIENT, case.frame))


def solicits(target: str, mac: bytes | None = CLIENT.mac, options: bytes = b"") -> bytes:
    message = with_options(solicitation(target, mac), options)
    return ethernet(CLIENT.mac, ALL_NODES, ipv6(CLIENT.ip6, "ff02::1", message, hop_limit=255))


def with_options(message: Segment, options: bytes) -> Segment:
    return Segment(message.protocol, message.octets + options, message.checksum_at)


def advertised(target: str, flags: int, options: bytes = b"") -> Expect:
    message = with_options(advertisement(target, CLIENT.router_mac, flags), options)
    packet = ipv6(target, CLIENT.ip6, message, hop_limit=255)
    return Expect(REDIRECTED, packet=ethernet(CLIENT.router_mac, CLIENT.mac, packet), redirect=BACK)


ND = [
    Case("the router", solicits(GATEWAY6), advertised(GATEWAY6, 0xC0)),
    Case("the router, by a short question", solicits(GATEWAY6, mac=None), advertised(GATEWAY6, 0xC0)),
    Case("another pod", solicits(SERVER.ip6), advertised(SERVER.ip6, 0x60)),
    Case("with a nonce", solicits(SERVER.ip6, options=NONCE), advertised(SERVER.ip6, 0x60, NONCE)),
    Case("with a nonce alone", solicits(SERVER.ip6, mac=None, options=NONCE), advertised(SERVER.ip6, 0x60)),
    Case("an address nobody has", solicits("fd01::99"), dropped(UNKNOWN_TARGET)),
    Case("cut short", solicits(GATEWAY6)[:70], dropped(INVALID)),
    Case(
        "an advertisement of its own",
        ethernet(
            CLIENT.mac, CLIENT.router_mac, ipv6(CLIENT.ip6, GATEWAY6, advertisement(CLIENT.ip6, CLIENT.mac, 0x60))
        ),
        Expect(PASS),
    ),
]


@pytest.mark.parametrize("case", ND, ids=lambda case: case.name)
def test_neighbour_discovery(case: Case, node: Node) -> None:
    case.expected.check(node.send(CLIENT, case.frame))


def test_the_hosts_own_addresses_are_left_to_its_stack(node: Node) -> None:
    node.know_endpoint("fd00::1", None)
    Expect(PASS).check(node.send(CLIENT, solicits("fd00::1")))


def test_a_packet_at_its_end_is_answered(node: Node) -> None:
    """With ICMPv6 time exceeded from the router, its checksum right, the packet inside."""
    node.allow(CLIENT, egress(0, TCP))
    packet = ipv6(CLIENT.ip6, SERVER.ip6, tcp(1000, 80, SYN), hop_limit=1)
    outcome = node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet))
    Expect(REDIRECTED, redirect=BACK).check(outcome)
    answer = outcome.packet[14:]
    source, destination = ipaddress.IPv6Address(GATEWAY6).packed, ipaddress.IPv6Address(CLIENT.ip6).packed
    assert (answer[8:24], answer[24:40]) == (source, destination)
    assert answer[40:42] == b"\x03\x00"
    assert answer[48:] == packet
    assert (
        checksum(source + destination + len(answer[40:]).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + answer[40:]) == 0
    )
