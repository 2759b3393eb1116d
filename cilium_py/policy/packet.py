"""The first packet of a connection, as a workload would send it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from cilium_py.net.checksum import checksum

from . import ports
from .ports import ICMP, ICMPV6, L4, exactly

Address: TypeAlias = IPv4Address | IPv6Address
SOURCE_PORT, SYN, TTL = 45678, 0x02, 64
ECHO_REQUEST, ECHO_REQUEST6 = 8, 128


@dataclass(frozen=True)
class Packet:
    """Both ends, the protocol, and the destination's port; of ICMP, the message type."""

    source: Address
    destination: Address
    protocol: int
    port: int

    @property
    def l4(self) -> L4:
        return exactly(self.protocol, self.port)

    def frame(self, source_mac: bytes, destination_mac: bytes) -> bytes:
        """The packet in an Ethernet frame, checksums right."""
        payload = self._payload()
        if isinstance(self.source, IPv4Address):
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, TTL, self.protocol, 0, *self._ends())
            head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
            kind = 0x0800
        else:
            head = struct.pack(">IHBB16s16s", 6 << 28, len(payload), self.protocol, TTL, *self._ends())
            kind = 0x86DD
        return destination_mac + source_mac + kind.to_bytes(2, "big") + head + payload

    def _ends(self) -> tuple[bytes, bytes]:
        return self.source.packed, self.destination.packed

    def _payload(self) -> bytes:
        match self.protocol:
            case ports.TCP:
                data = struct.pack(">HHIIBBHHH", SOURCE_PORT, self.port, 1, 0, 5 << 4, SYN, 64240, 0, 0)
                at = 16
            case ports.UDP:
                data, at = struct.pack(">HHHH", SOURCE_PORT, self.port, 8, 0), 6
            case ports.SCTP:
                # An INIT chunk; SCTP's checksum is another, and nobody on the way looks at it.
                init = struct.pack(">BBHIIHHI", 1, 0, 20, 1, 65536, 1, 1, 1)
                return struct.pack(">HHII", SOURCE_PORT, self.port, 0, 0) + init
            case ports.ICMP | ports.ICMPV6:
                data, at = struct.pack(">BBHHH", self.port, 0, 0, SOURCE_PORT, 1) + bytes(8), 2
            case _:
                return bytes(8)
        covered = data
        if self.protocol != ICMP:
            source, destination = self._ends()
            covered = source + destination + struct.pack(">II", len(data), self.protocol) + data
        return data[:at] + struct.pack(">H", checksum(covered)) + data[at + 2 :]


def echo_request(destination: Address) -> tuple[int, int]:
    """Protocol and type of a ping to this address."""
    return (ICMP, ECHO_REQUEST) if destination.version == 4 else (ICMPV6, ECHO_REQUEST6)
