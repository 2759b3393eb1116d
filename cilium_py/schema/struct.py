"""Binary layouts declared once as annotated classes; format, offsets, reading and writing follow from them.

    @layout(size=14, c="ipv4_ct_tuple")
    class Key(Struct):
        daddr: ip4
        saddr: ip4
        dport: be16
        sport: be16
        nexthdr: u8
        flags: u8

A Struct is a tuple of the integers as they lie in memory (read little-endian) and raw bytes; its attributes are
in host byte order: `key.dport` is 443 where `key[2]` is 47873.
"""

from __future__ import annotations

import inspect
import struct as _struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, dataclass_transform, get_args, get_origin

from cilium_py.schema.fields import Bits, Int, Pad, Raw

S = TypeVar("S", bound="Struct")


@dataclass(frozen=True)
class Member:
    """One field of a layout: where it lies and, for an integer with named bits, what they are called."""

    name: str
    offset: int
    kind: Int | Raw | Pad
    bits: Bits | None = None

    @property
    def size(self) -> int:
        return self.kind.size

    @property
    def ascending(self) -> slice:
        """Its bytes in the order in which they compare as it does."""
        start, end = self.offset, self.offset + self.size
        if isinstance(self.kind, Int) and not self.kind.big:
            return slice(end - 1, start - 1 if start else None, -1)
        return slice(start, end)


def swap(value: int, size: int) -> int:
    """The same bytes read in the other order."""
    return int.from_bytes(value.to_bytes(size, "little"), "big")


@dataclass_transform(kw_only_default=True)
class Struct(tuple[Any, ...]):  # a tuple of int and bytes, by position: no static type says more
    """A fixed-size record of a map key or value."""

    __slots__ = ()

    members: ClassVar[tuple[Member, ...]]
    """Every field in order, padding included."""
    size: ClassVar[int]
    c_struct: ClassVar[str]
    """The C struct that has this layout, or an empty string."""
    format: ClassVar[_struct.Struct]

    def __new__(cls, **values: int | bytes) -> Self:
        """Build from host-order values; fields that are not named are zero."""
        stored: list[int | bytes] = []
        for member in cls.members:
            if isinstance(member.kind, Pad):
                continue
            value = values.pop(member.name, 0 if isinstance(member.kind, Int) else bytes(member.size))
            if isinstance(member.kind, Int) and member.kind.big:
                value = swap(cast(int, value), member.size)
            stored.append(value)
        if values:
            raise TypeError(f"{cls.__name__} has no field {', '.join(sorted(values))}")
        return tuple.__new__(cls, stored)

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> Self:
        return tuple.__new__(cls, cls.format.unpack(data))

    @classmethod
    def unpack_many(cls, data: bytes | memoryview) -> Iterator[Self]:
        """Read records that lie one after the other, as a batch returns them."""
        new = tuple.__new__
        return (new(cls, record) for record in cls.format.iter_unpack(data))

    def pack(self) -> bytes:
        return self.format.pack(*self)

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[type[Self], tuple[Any, ...]]]:
        return tuple.__new__, (type(self), tuple(self))

    def __repr__(self) -> str:
        names = (m.name for m in self.members if not isinstance(m.kind, Pad))
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"


def layout(*, size: int, c: str = "") -> Callable[[type[S]], type[S]]:
    """Make a Struct of an annotated class; `size` must be what the fields add up to, padding written out."""

    def build(cls: type[S]) -> type[S]:
        members, offset = [], 0
        for name, annotation in _annotations(cls).items():
            kind, bits = _kind(cls, name, annotation)
            members.append(Member(name, offset, kind, bits))
            offset += kind.size
        if offset != size:
            raise TypeError(f"{cls.__qualname__}: the fields take {offset} bytes, {size} were declared")
        cls.members, cls.size, cls.c_struct = tuple(members), size, c
        cls.format = _struct.Struct("<" + "".join(m.kind.code for m in members))
        for index, member in enumerate(m for m in members if not isinstance(m.kind, Pad)):
            setattr(cls, member.name, property(_getter(index, member)))
        for member in members:
            if isinstance(member.kind, Pad):
                setattr(cls, member.name, bytes(member.size))
        return cls

    return build


def _annotations(cls: type[Struct]) -> dict[str, Any]:
    """The annotations in order. A map file that postpones them (from __future__) is resolved in its module."""
    names = vars(sys.modules[cls.__module__])
    own = inspect.get_annotations(cls)
    return {name: eval(a, names) if isinstance(a, str) else a for name, a in own.items()}


def _kind(cls: type[Struct], name: str, annotation: Any) -> tuple[Int | Raw | Pad, Bits | None]:
    if get_origin(annotation) is Annotated:
        extras = get_args(annotation)[1:]
        kind = next((e for e in extras if isinstance(e, (Int, Raw, Pad))), None)
        if kind is not None:
            return kind, next((e for e in extras if isinstance(e, Bits)), None)
    raise TypeError(f"{cls.__qualname__}.{name}: not a field type of cilium_py.schema")


def _getter(index: int, member: Member) -> Callable[[Any], Any]:
    if isinstance(member.kind, Int) and member.kind.big:
        if member.size == 2:
            return lambda self: (self[index] & 0xFF) << 8 | self[index] >> 8
        return lambda self: swap(self[index], member.size)
    return itemgetter(index)
