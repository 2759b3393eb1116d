"""The Internet checksum (RFC 1071)."""

from __future__ import annotations

import struct


def checksum(data: bytes) -> int:
    """What an IPv4, ICMP, TCP or UDP header has of these bytes, in which its own place is 0."""
    words: tuple[int, ...] = struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
