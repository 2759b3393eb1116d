"""Packets taken apart: every protocol, cut at every byte, and random bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.monitor.dissect import Dissector, dissect, dissect_network
from tests.unit.monitor.packets import (
    ACK,
    CLIENT,
    SERVER,
    SYN,
    arp,
    ether,
    geneve,
    icmp,
    ipv4,
    ipv6,
    sctp,
    tcp,
    udp,
    vxlan,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    name: str
    frame: bytes
    summary: str
    cut: str = ""


INNER = ether(ipv4(tcp(1000, 443, SYN | ACK), 6, "10.1.0.1", "10.1.0.2"))

CASES = [
    Case("tcp", ether(ipv4(tcp(), 6)), "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"),
    Case("tcp answer", ether(ipv4(tcp(flags=SYN | ACK), 6)), "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN, ACK"),
    Case("tcp without a flag", ether(ipv4(tcp(flags=0), 6)), "10.0.0.1:40000 -> 10.0.0.2:80 tcp"),
    Case("udp", ether(ipv4(udp(), 17)), "10.0.0.1:40000 -> 10.0.0.2:53 udp"),
    Case("sctp", ether(ipv4(sctp(), 132)), "10.0.0.1:40000 -> 10.0.0.2:3868 sctp"),
    Case("icmp", ether(ipv4(icmp(), 1)), "10.0.0.1 -> 10.0.0.2 EchoRequest"),
    Case("icmp error", ether(ipv4(icmp(3, 3), 1)), "10.0.0.1 -> 10.0.0.2 DestinationUnreachable(Port)"),
    Case("icmp of an unknown type", ether(ipv4(icmp(201, 1), 1)), "10.0.0.1 -> 10.0.0.2 201(1)"),
    Case("icmp of an unknown code", ether(ipv4(icmp(3, 99), 1)),
         "10.0.0.1 -> 10.0.0.2 DestinationUnreachable(Code: 99)"),
    Case("options", ether(ipv4(tcp(), 6, options=bytes(8))), "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"),
    Case("first fragment", ether(ipv4(udp(), 17, fragment=0x2000)), "10.0.0.1:40000 -> 10.0.0.2:53 udp"),
    Case("later fragment", ether(ipv4(udp(), 17, fragment=0x2010)), "10.0.0.1 -> 10.0.0.2 udp fragment"),
    Case("other protocol", ether(ipv4(b"", 200)), "10.0.0.1 -> 10.0.0.2 protocol 200"),
    Case("esp", ether(ipv4(b"", 50)), "10.0.0.1 -> 10.0.0.2 esp"),
    Case("vlan", ether(ipv4(tcp(), 6), vlan=5), "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"),
    Case("tcp6", ether(ipv6(tcp(), 6), 0x86DD), "[fd00::1]:40000 -> [fd00::2]:80 tcp SYN"),
    Case("icmp6", ether(ipv6(icmp(135), 58), 0x86DD), "fd00::1 -> fd00::2 NeighborSolicitation"),
    Case("extensions", ether(ipv6(b"\x3c" + bytes(7) + b"\x11" + bytes(7) + udp(), 0), 0x86DD),
         "[fd00::1]:40000 -> [fd00::2]:53 udp"),
    Case("later fragment6", ether(ipv6(b"\x11\0\0\x08\0\0\0\1" + udp(), 44), 0x86DD),
         "fd00::1 -> fd00::2 udp fragment"),
    Case("arp request", ether(arp(), 0x0806),
         "02:00:00:00:00:01 -> 02:00:00:00:00:02 ARP who-has 10.0.0.2 tell 10.0.0.1"),
    Case("arp reply", ether(arp(2), 0x0806),
         "02:00:00:00:00:01 -> 02:00:00:00:00:02 ARP 10.0.0.1 is-at 02:00:00:00:00:01"),
    Case("other ethertype", ether(b"", 0x88CC), "02:00:00:00:00:01 -> 02:00:00:00:00:02 LinkLayerDiscovery"),
    Case("vxlan", ether(ipv4(vxlan(INNER), 17)),
         "10.1.0.1:1000 -> 10.1.0.2:443 tcp SYN, ACK [tunnel 10.0.0.1:50000 -> 10.0.0.2:8472 vxlan]"),
    Case("geneve with options", ether(ipv4(geneve(INNER, options=bytes(8)), 17)),
         "10.1.0.1:1000 -> 10.1.0.2:443 tcp SYN, ACK [tunnel 10.0.0.1:50000 -> 10.0.0.2:6081 geneve]"),
    Case("udp to the port of vxlan", ether(ipv4(udp(50000, 8472, b"hello world"), 17)),
         "10.0.0.1:50000 -> 10.0.0.2:8472 udp"),
    Case("nothing", b"", "[unknown]", "ethernet"),
    Case("header too short", ether(b"\x44" + ipv4(tcp(), 6)[1:]),
         "02:00:00:00:00:01 -> 02:00:00:00:00:02 IPv4", "ipv4"),
    Case("version 6 in an IPv4 frame", ether(ipv6(tcp(), 6)), "02:00:00:00:00:01 -> 02:00:00:00:00:02 IPv4", "ipv4"),
    Case("ports only", ether(ipv4(tcp()[:4], 6)), "10.0.0.1:40000 -> 10.0.0.2:80 tcp", "tcp"),
    Case("no ports", ether(ipv4(b"\0\0", 17)), "10.0.0.1 -> 10.0.0.2 udp", "udp"),
    Case("endless extensions", ether(ipv6(bytes(400), 0), 0x86DD), "fd00::1 -> fd00::2 protocol 0"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_summary(case: Case) -> None:
    packet = Dissector().packet(b"head" + case.frame + b"tail", 4, 4 + len(case.frame))
    assert packet.summary == case.summary
    assert packet.cut == case.cut


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_json(case: Case) -> None:
    found = json.loads(dissect(case.frame).json)
    assert found["summary"] == case.summary
    assert found.get("cut", "") == dissect(case.frame).cut


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cut_at_every_byte(case: Case) -> None:
    for length in range(len(case.frame)):
        packet = dissect(case.frame[:length])
        json.loads(packet.json)
        assert Dissector().packet(case.frame, 0, length).summary == packet.summary


@given(st.binary(max_size=120), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00"]), st.booleans())
def test_random_bytes(data: bytes, ethertype: bytes, plausible: bool) -> None:
    frame = bytes(12) + ethertype + (b"\x45" if plausible else b"") + data
    json.loads(dissect(frame).json)
    json.loads(dissect_network(data, plausible).json)
    assert Dissector().packet(frame, 0, len(frame)).json == dissect(frame).json


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=20))
def test_a_known_flow_reads_like_a_new_one(cases: list[Case]) -> None:
    dissector = Dissector()
    for case in cases * 2:
        assert dissector.packet(case.frame, 0, len(case.frame)).json == dissect(case.frame).json


def test_packets_of_a_flow_are_one_object() -> None:
    dissector = Dissector()
    frame = ether(ipv4(tcp(flags=ACK), 6))
    other = frame[:38] + b"\xff\xff\xff\xff" + frame[42:]
    assert dissector.packet(frame, 0, len(frame)) is dissector.packet(other, 0, len(other))
    closing = ether(ipv4(tcp(flags=ACK | 1), 6))
    assert dissector.packet(frame, 0, len(frame)) is not dissector.packet(closing, 0, len(closing))


def test_without_ethernet() -> None:
    assert dissect_network(ipv4(tcp(), 6), six=False).summary == f"{CLIENT}:40000 -> {SERVER}:80 tcp SYN"
    assert dissect_network(ipv6(icmp(128), 58), six=True).summary == "fd00::1 -> fd00::2 EchoRequest"
    assert dissect_network(ipv6(icmp(128), 58), six=False).cut == "ipv4"
