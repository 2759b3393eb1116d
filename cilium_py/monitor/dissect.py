"""Take packets apart, as far as they were captured; no length or count in them is believed unchecked."""

from __future__ import annotations

import struct

from cilium_py.monitor.packet import Arp, Packet
from cilium_py.monitor.protocols import (
    AH,
    ARP,
    ETHER_HEADER,
    EXTENSIONS,
    FRAGMENT,
    GENEVE_PORTS,
    ICMP,
    ICMPV6,
    IPV4,
    IPV4_HEADER,
    IPV6,
    IPV6_HEADER,
    SCTP,
    SERVICE_VLAN,
    TCP,
    TRANSPARENT_ETHERNET,
    UDP,
    VLAN,
    VLAN_TAG,
    VXLAN_PORTS,
    protocol_name,
)

MOST_TAGS = 2
MOST_EXTENSIONS = 8
MOST_TUNNELS = 2
CACHED = 65536
TUNNEL_PORTS = VXLAN_PORTS | GENEVE_PORTS
UDP_HEADER = 8
TCP_FLAGS_AT = 13
WITH_PORTS = frozenset({TCP, UDP, SCTP})

_ETHER = struct.Struct(">6s6sH")
_TAG = struct.Struct(">HH")
_ARP = struct.Struct(">HHBBH6s4s6s4s")
_IPV4 = struct.Struct(">BxHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_PORTS = struct.Struct(">HH")
_TUNNEL = struct.Struct(">BBHI")

# Ethertype, first byte of the network header, protocol if it is IPv6, protocol if it is IPv4.
_SHAPE = struct.Struct(">12xHB5xB2xB")
# What a packet of a flow has in common with the others, per protocol: (its bytes, length of the headers).
_KEYS4 = {
    TCP: (struct.Struct("15s5x2sxs2x12s9xs").unpack_from, 54),
    UDP: (struct.Struct("15s5x2sxs2x12s").unpack_from, 42),
    SCTP: (struct.Struct("15s5x2sxs2x12s").unpack_from, 46),
    ICMP: (struct.Struct("15s5x2sxs2x10s").unpack_from, 42),
}
_KEYS6 = {
    TCP: (struct.Struct("15s5xsx36s9xs").unpack_from, 74),
    UDP: (struct.Struct("15s5xsx36s").unpack_from, 62),
    SCTP: (struct.Struct("15s5xsx36s").unpack_from, 66),
    ICMPV6: (struct.Struct("15s5xsx34s").unpack_from, 62),
}
_PLAIN_IPV4 = 0x45


class Dissector:
    """Takes packets apart, each flow once: what its later packets have in common with the first is looked up."""

    def __init__(self) -> None:
        self._flows: dict[tuple[bytes, ...], Packet] = {}

    def packet(self, data: bytes, start: int, end: int) -> Packet:
        """The Ethernet frame in data[start:end]."""
        if start + 24 <= end:
            ethertype, first, protocol6, protocol4 = _SHAPE.unpack_from(data, start)
            if ethertype == IPV4 and first == _PLAIN_IPV4:
                known = _KEYS4.get(protocol4)
            elif ethertype == IPV6:
                known = _KEYS6.get(protocol6)
            else:
                known = None
            if known is not None and start + known[1] <= end:
                key = known[0](data, start)
                found = self._flows.get(key)
                return found if found is not None else self._first(key, data, start, end)
        return dissect(data[start:end])

    def _first(self, key: tuple[bytes, ...], data: bytes, start: int, end: int) -> Packet:
        packet = dissect(data[start:end])
        # What is in a tunnel differs from packet to packet.
        if packet.destination_port not in TUNNEL_PORTS and not packet.cut:
            if len(self._flows) >= CACHED:
                self._flows.clear()
            self._flows[key] = packet
        return packet


def dissect(frame: bytes, depth: int = 0) -> Packet:
    """An Ethernet frame."""
    packet = Packet()
    if len(frame) < ETHER_HEADER:
        packet.cut = "ethernet"
        return packet
    packet.destination_mac, packet.source_mac, packet.ethertype = _ETHER.unpack_from(frame)
    at = ETHER_HEADER
    while packet.ethertype in (VLAN, SERVICE_VLAN) and len(packet.vlans) < MOST_TAGS:
        if len(frame) < at + VLAN_TAG:
            packet.cut = "vlan"
            return packet
        tag, packet.ethertype = _TAG.unpack_from(frame, at)
        packet.vlans += (tag & 0xFFF,)
        at += VLAN_TAG
    _network(packet, frame, at, depth)
    return packet


def dissect_network(data: bytes, six: bool) -> Packet:
    """A packet of a device without Ethernet headers."""
    packet = Packet(ethertype=IPV6 if six else IPV4)
    _network(packet, data, 0, 0)
    return packet


def _network(packet: Packet, data: bytes, at: int, depth: int) -> None:
    if packet.ethertype == IPV4:
        _ipv4(packet, data, at, depth)
    elif packet.ethertype == IPV6:
        _ipv6(packet, data, at, depth)
    elif packet.ethertype == ARP:
        _arp(packet, data, at)


def _arp(packet: Packet, data: bytes, at: int) -> None:
    if len(data) < at + _ARP.size:
        packet.cut = "arp"
        return
    hardware, protocol, hardware_size, protocol_size, *rest = _ARP.unpack_from(data, at)
    if (hardware, protocol, hardware_size, protocol_size) != (1, IPV4, 6, 4):
        packet.cut = "arp"
        return
    packet.arp = Arp(*rest)


def _ipv4(packet: Packet, data: bytes, at: int, depth: int) -> None:
    if len(data) < at + IPV4_HEADER:
        packet.cut = "ipv4"
        return
    first, _, _, fragment, _, protocol, _, source, destination = _IPV4.unpack_from(data, at)
    header = (first & 0xF) * 4
    if first >> 4 != 4 or header < IPV4_HEADER:
        packet.cut = "ipv4"
        return
    packet.source, packet.destination, packet.protocol = source, destination, protocol
    packet.fragment = bool(fragment & 0x1FFF)
    if not packet.fragment:
        _transport(packet, data, at + header, depth)


def _ipv6(packet: Packet, data: bytes, at: int, depth: int) -> None:
    if len(data) < at + IPV6_HEADER:
        packet.cut = "ipv6"
        return
    first, _, protocol, _, source, destination = _IPV6.unpack_from(data, at)
    if first >> 28 != 6:
        packet.cut = "ipv6"
        return
    packet.source, packet.destination, packet.protocol = source, destination, protocol
    at += IPV6_HEADER
    for _ in range(MOST_EXTENSIONS):
        if packet.protocol not in EXTENSIONS:
            break
        if len(data) < at + 8:
            packet.cut = "ipv6 extension"
            return
        following, length = data[at], data[at + 1]
        if packet.protocol == FRAGMENT:
            packet.fragment = bool(int.from_bytes(data[at + 2 : at + 4]) & 0xFFF8)
            length = 8
        else:
            length = (length + 2) * 4 if packet.protocol == AH else (length + 1) * 8
        packet.protocol = following
        at += length
        if packet.fragment:
            return
    _transport(packet, data, at, depth)


def _transport(packet: Packet, data: bytes, at: int, depth: int) -> None:
    left = len(data) - at
    if packet.protocol in WITH_PORTS:
        if left < _PORTS.size:
            packet.cut = protocol_name(packet.protocol)
            return
        packet.source_port, packet.destination_port = _PORTS.unpack_from(data, at)
        if packet.protocol == TCP:
            if left < TCP_FLAGS_AT + 1:
                packet.cut = "tcp"
                return
            packet.tcp_flags = data[at + TCP_FLAGS_AT]
        elif packet.protocol == UDP and depth < MOST_TUNNELS:
            _tunnel(packet, data, at + UDP_HEADER, depth)
    elif packet.protocol in (ICMP, ICMPV6):
        if left < 2:
            packet.cut = protocol_name(packet.protocol)
            return
        packet.icmp_type, packet.icmp_code = data[at], data[at + 1]


def _tunnel(packet: Packet, data: bytes, at: int, depth: int) -> None:
    """VXLAN and Geneve by their ports; a header that makes no sense means it is something else."""
    if packet.destination_port in VXLAN_PORTS:
        name, inner = "vxlan", at + 8
        # The flag that there is an identifier, perhaps that of group policy, no other; and a reserved zero.
        if len(data) < inner or data[at] not in (0x08, 0x88) or data[at + 7]:
            return
    elif packet.destination_port in GENEVE_PORTS:
        name = "geneve"
        if len(data) < at + 8:
            return
        first, _, protocol, _ = _TUNNEL.unpack_from(data, at)
        if first >> 6 or protocol != TRANSPARENT_ETHERNET:
            return
        inner = at + 8 + (first & 0x3F) * 4
    else:
        return
    packet.tunnel = name
    packet.vni = int.from_bytes(data[at + 4 : at + 7])
    packet.inner = dissect(data[inner:], depth + 1)
