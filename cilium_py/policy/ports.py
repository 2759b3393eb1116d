"""Protocols and ports as prefixes: what the policy map's longest-prefix match can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

PROTOCOL_BITS, FULL_BITS = 8, 24
PORT_BITS = FULL_BITS - PROTOCOL_BITS
LAST_PORT = (1 << PORT_BITS) - 1

TCP, UDP, SCTP = 6, 17, 132
ICMP, ICMPV6 = 1, 58
PROTOCOLS = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP, "ICMP": ICMP, "ICMPV6": ICMPV6, "VRRP": 112, "IGMP": 2}
"""By the names that rules use, in capitals."""
WITH_PORTS = (TCP, UDP, SCTP)


class L4(NamedTuple):
    """A prefix of protocol (8 bits) and port (16 bits). Of length 0 it is everything; port bits beyond it are 0."""

    protocol: int = 0
    port: int = 0
    bits: int = 0

    @property
    def last(self) -> int:
        """The last port of the prefix."""
        return self.port + (1 << (FULL_BITS - max(self.bits, PROTOCOL_BITS))) - 1

    def broader(self) -> Iterator[L4]:
        """Every prefix that covers this one, itself included, the longest first."""
        for bits in range(self.bits, PROTOCOL_BITS - 1, -1):
            mask = LAST_PORT << (FULL_BITS - bits) & LAST_PORT
            yield L4(self.protocol, self.port & mask, bits)
        yield EVERYTHING

    def __str__(self) -> str:
        if not self.bits:
            return "ANY"
        name = protocol_name(self.protocol)
        if self.bits == PROTOCOL_BITS:
            return name
        if self.bits == FULL_BITS:
            return f"{self.port}/{name}"
        return f"{self.port}-{self.last}/{name}"


EVERYTHING = L4()


def protocol_name(number: int) -> str:
    return next((name for name, known in PROTOCOLS.items() if known == number), str(number)).replace("V6", "v6")


def exactly(protocol: int, port: int) -> L4:
    return L4(protocol, port, FULL_BITS)


def port_range(protocol: int, first: int, last: int) -> list[L4]:
    """The fewest prefixes that cover the ports from first to last and no others."""
    prefixes = []
    while first <= last:
        # As large as alignment allows, and no larger than what is left.
        size = min(first & -first or 1 << PORT_BITS, 1 << ((last - first + 1).bit_length() - 1))
        prefixes.append(L4(protocol, first, FULL_BITS - size.bit_length() + 1))
        first += size
    return prefixes
