"""Packets and messages for the monitor's tests, built field by field. Named actors, as on a small cluster."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
CLIENT6, SERVER6 = "fd00::1", "fd00::2"
CLIENT_MAC, SERVER_MAC = "020000000001", "020000000002"

SYN, ACK = 0x02, 0x10


def ether(payload: bytes, ethertype: int = 0x0800, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else struct.pack(">HH", 0x8100, vlan)
    return bytes.fromhex(SERVER_MAC + CLIENT_MAC) + tag + struct.pack(">H", ethertype) + payload


def ipv4(
    payload: bytes, protocol: int, source: str = CLIENT, destination: str = SERVER, fragment: int = 0,
    options: bytes = b"",
) -> bytes:  # fmt: skip
    head = 5 + len(options) // 4
    return (
        struct.pack(">BBHHHBBH", 0x40 | head, 0, 4 * head + len(payload), 1, fragment, 64, protocol, 0)
        + IPv4Address(source).packed
        + IPv4Address(destination).packed
        + options
        + payload
    )


def ipv6(payload: bytes, protocol: int, source: str = CLIENT6, destination: str = SERVER6) -> bytes:
    return (
        struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
        + IPv6Address(source).packed
        + IPv6Address(destination).packed
        + payload
    )


def tcp(source: int = 40000, destination: int = 80, flags: int = SYN) -> bytes:
    return struct.pack(">HHIIBBHHH", source, destination, 1, 0, 0x50, flags, 64240, 0, 0)


def udp(source: int = 40000, destination: int = 53, payload: bytes = b"") -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def sctp(source: int = 40000, destination: int = 3868) -> bytes:
    return struct.pack(">HHII", source, destination, 1, 0)


def icmp(kind: int = 8, code: int = 0) -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, 1, 1)


def arp(operation: int = 1) -> bytes:
    return (
        struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
        + bytes.fromhex(CLIENT_MAC)
        + IPv4Address(CLIENT).packed
        + bytes(6)
        + IPv4Address(SERVER).packed
    )


def vxlan(frame: bytes, vni: int = 7, port: int = 8472) -> bytes:
    return udp(50000, port, bytes([8, 0, 0, 0]) + vni.to_bytes(3) + b"\0" + frame)


def geneve(frame: bytes, vni: int = 7, options: bytes = b"") -> bytes:
    return udp(
        50000, 6081, struct.pack(">BBH", len(options) // 4, 0, 0x6558) + vni.to_bytes(3) + b"\0" + options + frame
    )


SYN_PACKET = ether(ipv4(tcp(), 6))


def common(kind: int, subtype: int, packet: bytes, version: int, endpoint: int = 11) -> bytes:
    return struct.pack("=BBHIIHH", kind, subtype, endpoint, 0xABC, len(packet) + 1000, len(packet), version)


def trace(
    packet: bytes = SYN_PACKET, *, point: int = 5, version: int = 1, reason: int = 0, source: int = 256,
    destination: int = 2, to: int = 0, flags: int = 0, ifindex: int = 0, original: bytes = bytes(16),
    trace_id: int = 0, endpoint: int = 11,
) -> bytes:  # fmt: skip
    head = common(4, point, packet, version, endpoint)
    head += struct.pack("=IIHBBI", source, destination, to, reason, flags, ifindex)
    tail = (b"", original, original + struct.pack("=Q", trace_id))[version]
    return head + tail + packet


def drop(
    packet: bytes = SYN_PACKET, *, reason: int = 133, version: int = 2, source: int = 256, destination: int = 2,
    to: int = 0, line: int = 99, file: int = 2, detail: int = 0, ifindex: int = 3, flags: int = 0, trace_id: int = 0,
) -> bytes:  # fmt: skip
    head = common(1, reason, packet, version)
    head += struct.pack("=IIIHBbI", source, destination, to, line, file, detail, ifindex)
    flagged = struct.pack("=B3x", flags)
    tail = (b"", b"", flagged, flagged + struct.pack("=Q", trace_id))[version]
    return head + tail + packet


def verdict(
    packet: bytes = SYN_PACKET, *, remote: int = 2, verdict: int = 0, port: int = 80, protocol: int = 6,
    flags: int = 2, authentication: int = 0, cookie: int | None = None,
) -> bytes:  # fmt: skip
    head = common(5, 0, packet, 1)
    head += struct.pack("=IiHBBB3x", remote, verdict, port, protocol, flags, authentication)
    return head + (b"" if cookie is None else struct.pack("=I4x", cookie)) + packet


def debug(subtype: int, first: int = 0, second: int = 0, third: int = 0) -> bytes:
    return struct.pack("=BBHIIII", 2, subtype, 11, 0xABC, first, second, third)


def capture(subtype: int, first: int = 0, packet: bytes = SYN_PACKET) -> bytes:
    return common(3, subtype, packet, 1) + struct.pack("=II", first, 0) + packet
