"""Field types of binary layouts. Byte order is part of the type; values are host order, addresses are raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True)
class Int:
    """An unsigned integer; `big` means network byte order in memory."""

    code: str
    size: int
    big: bool = False


@dataclass(frozen=True)
class Raw:
    """Bytes kept as they are: an address, a MAC."""

    size: int

    @property
    def code(self) -> str:
        return f"{self.size}s"


@dataclass(frozen=True)
class Pad:
    """Bytes without meaning: written as zeros, not kept when read."""

    size: int

    @property
    def code(self) -> str:
        return f"{self.size}x"


@dataclass(frozen=True)
class Bits:
    """Names of an integer's bits, lowest first. A name is one bit; (name, n) spans n bits; None skips one."""

    names: tuple[str | tuple[str, int] | None, ...]

    def spans(self) -> dict[str, tuple[int, int]]:
        """Name -> (first bit, number of bits)."""
        at, spans = 0, {}
        for name in self.names:
            if isinstance(name, tuple):
                spans[name[0]] = (at, name[1])
                at += name[1]
            else:
                if name is not None:
                    spans[name] = (at, 1)
                at += 1
        return spans


u8: TypeAlias = Annotated[int, Int("B", 1)]
u16: TypeAlias = Annotated[int, Int("H", 2)]
u32: TypeAlias = Annotated[int, Int("I", 4)]
u64: TypeAlias = Annotated[int, Int("Q", 8)]
be16: TypeAlias = Annotated[int, Int("H", 2, big=True)]
be32: TypeAlias = Annotated[int, Int("I", 4, big=True)]
b3: TypeAlias = Annotated[bytes, Raw(3)]
ip4: TypeAlias = Annotated[bytes, Raw(4)]
mac6: TypeAlias = Annotated[bytes, Raw(6)]
mac8: TypeAlias = Annotated[bytes, Raw(8)]
"""union macaddr: six bytes of address, two of padding."""
ip6: TypeAlias = Annotated[bytes, Raw(16)]
b16: TypeAlias = Annotated[bytes, Raw(16)]
"""A union of an IPv4 and an IPv6 address."""
pad1: TypeAlias = Annotated[bytes, Pad(1)]
pad2: TypeAlias = Annotated[bytes, Pad(2)]
pad3: TypeAlias = Annotated[bytes, Pad(3)]
pad4: TypeAlias = Annotated[bytes, Pad(4)]
pad5: TypeAlias = Annotated[bytes, Pad(5)]
pad6: TypeAlias = Annotated[bytes, Pad(6)]
pad7: TypeAlias = Annotated[bytes, Pad(7)]
pad8: TypeAlias = Annotated[bytes, Pad(8)]
pad12: TypeAlias = Annotated[bytes, Pad(12)]
pad16: TypeAlias = Annotated[bytes, Pad(16)]
pad24: TypeAlias = Annotated[bytes, Pad(24)]
pad32: TypeAlias = Annotated[bytes, Pad(32)]
