"""Frames as bytes: what a pod, a router or the world would put on the wire, checksums included.

Every builder takes the layer above as its payload, so a frame reads from the outside in:
ethernet(A, B, ipv4(a, b, tcp(1000, 80, SYN)))
"""

from __future__ import annotations

import ipaddress
import struct

ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD

ICMP = 1
TCP = 6
UDP = 17
FRAGMENT = 44
ICMPV6 = 58
DESTINATION_OPTIONS = 60
SCTP = 132

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

ECHO_REQUEST, ECHO_REPLY, UNREACHABLE = 8, 0, 3
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136

BROADCAST = b"\xff" * 6


class Segment:
    """A transport header and its payload, still without the checksum: that depends on the addresses below it."""

    def __init__(self, protocol: int, octets: bytes, checksum_at: int | None) -> None:
        self.protocol = protocol
        self.octets = octets
        self.checksum_at = checksum_at

    def finished(self, pseudo_header: bytes) -> bytes:
        """With the checksum over the pseudo-header and itself."""
        at = self.checksum_at
        if at is None or at + 2 > len(self.octets):
            return self.octets
        covered = self.octets if self.protocol == ICMP else pseudo_header + self.octets
        return self.octets[:at] + struct.pack(">H", checksum(covered) or 0xFFFF) + self.octets[at + 2 :]


def checksum(octets: bytes) -> int:
    """The Internet checksum; 0 over octets that contain a right one."""
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(source: bytes, destination: bytes, payload: bytes, kind: int | None = None) -> bytes:
    """A frame; its type is that of the payload's IP version unless given."""
    if kind is None:
        kind = ETH_IPV6 if payload[0] >> 4 == 6 else ETH_IPV4
    return destination + source + struct.pack(">H", kind) + payload


def ipv4(
    source: str,
    destination: str,
    payload: Segment | bytes,
    *,
    protocol: int = 0,
    ttl: int = 64,
    identification: int = 1,
    offset: int = 0,
    more: bool = False,
    options: bytes = b"",
    tos: int = 0,
) -> bytes:
    """An IPv4 packet. Offset in bytes; a payload of bytes is taken as it is."""
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    if isinstance(payload, Segment):
        protocol = payload.protocol
        payload = payload.finished(addresses + struct.pack(">xBH", protocol, len(payload.octets)))
    header = struct.pack(
        ">BBHHHBBH",
        0x40 | (5 + len(options) // 4),
        tos,
        20 + len(options) + len(payload),
        identification,
        more << 13 | offset // 8,
        ttl,
        protocol,
        0,
    )
    total = checksum(header + addresses + options)
    return header[:10] + struct.pack(">H", total) + addresses + options + payload


def ipv6(
    source: str,
    destination: str,
    payload: Segment | bytes,
    *,
    protocol: int = 0,
    hop_limit: int = 64,
    extensions: bytes = b"",
    next_header: int | None = None,
) -> bytes:
    """An IPv6 packet. `next_header` is the type of the first of the extensions, if there are any."""
    addresses = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    if isinstance(payload, Segment):
        protocol = payload.protocol
        payload = payload.finished(addresses + struct.pack(">II", len(payload.octets), protocol))
    first = protocol if next_header is None else next_header
    return struct.pack(">IHBB", 6 << 28, len(extensions + payload), first, hop_limit) + addresses + extensions + payload


def fragment_header(next_header: int, identification: int, offset: int, more: bool) -> bytes:
    """The IPv6 extension header of a fragment. Offset in bytes."""
    return struct.pack(">BxHI", next_header, offset | more, identification)


def destination_options(next_header: int) -> bytes:
    """An IPv6 extension header that says nothing."""
    return bytes([next_header, 0, 1, 4, 0, 0, 0, 0])


def tcp(source: int, destination: int, flags: int, payload: bytes = b"") -> Segment:
    return Segment(TCP, struct.pack(">HHIIBBHHH", source, destination, 1, 0, 0x50, flags, 64000, 0, 0) + payload, 16)


def udp(source: int, destination: int, payload: bytes = b"payload.") -> Segment:
    return Segment(UDP, struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload, 6)


def sctp(source: int, destination: int) -> Segment:
    return Segment(SCTP, struct.pack(">HHII", source, destination, 0, 0) + bytes(20), None)


def icmp(kind: int, code: int = 0, identifier: int = 0, payload: bytes = b"payload.") -> Segment:
    return Segment(ICMP, struct.pack(">BBHHH", kind, code, 0, identifier, 1) + payload, 2)


def icmp6(kind: int, code: int = 0, identifier: int = 0, payload: bytes = b"payload.") -> Segment:
    return Segment(ICMPV6, struct.pack(">BBHHH", kind, code, 0, identifier, 1) + payload, 2)


def solicitation(target: str, mac: bytes | None) -> Segment:
    """A neighbour solicitation, with the asker's MAC or without."""
    option = b"" if mac is None else b"\1\1" + mac
    octets = struct.pack(">BBHI", NEIGHBOUR_SOLICITATION, 0, 0, 0) + ipaddress.IPv6Address(target).packed + option
    return Segment(ICMPV6, octets, 2)


def advertisement(target: str, mac: bytes, flags: int) -> Segment:
    """A neighbour advertisement with the target's MAC."""
    octets = struct.pack(">BBHB3x", NEIGHBOUR_ADVERTISEMENT, 0, 0, flags)
    return Segment(ICMPV6, octets + ipaddress.IPv6Address(target).packed + b"\2\1" + mac, 2)


def arp(operation: int, sender_mac: bytes, sender: str, target_mac: bytes, target: str) -> bytes:
    """The payload of an ARP frame: operation 1 asks, 2 answers."""
    return (
        struct.pack(">HHBBH", 1, ETH_IPV4, 6, 4, operation)
        + sender_mac
        + ipaddress.IPv4Address(sender).packed
        + target_mac
        + ipaddress.IPv4Address(target).packed
    )
