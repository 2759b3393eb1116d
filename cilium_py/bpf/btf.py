"""BTF read in plain Python: the structs of an object file or of a live map, member by member.

The format is described in the kernel's Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from cilium_py.bpf.elf import section

if TYPE_CHECKING:
    from cilium_py.bpf.map import BpfMap

MAGIC = 0xEB9F
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)

SIGNED = 1
BOOL = 4

_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_THREE_WORDS = struct.Struct("=III")
# Bytes that follow a type: so many, and so many more for each of its members.
_TAIL = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
_EACH = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
_QUALIFIERS = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})
_NAMELESS = {STRUCT: "struct", UNION: "union", ENUM: "enum", ENUM64: "enum"}


class Member(NamedTuple):
    """A member of a struct: `offset` and `size` in bytes. A bitfield has `bits`, from `bit_offset` of its byte."""

    name: str
    type: str
    offset: int
    size: int
    bit_offset: int = 0
    bits: int = 0


class Variable(NamedTuple):
    """A global variable: where in its section, how large, and the BTF type to read it by."""

    name: str
    offset: int
    size: int
    type_id: int


class BtfType:
    """One type, with typedefs and qualifiers taken off."""

    def __init__(self, btf: Btf, type_id: int) -> None:
        self._btf = btf
        self.id = type_id
        self.kind, self._vlen, self._flagged, self._word, self.name, self._at = btf.record(type_id)

    @property
    def size(self) -> int:
        if self.kind == PTR:
            return 8
        if self.kind == ARRAY:
            element, _, count = _THREE_WORDS.unpack_from(self._btf.data, self._at)
            return self._btf.type(element).size * int(count)
        return self._word if self.kind in (INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC) else 0

    @property
    def signed(self) -> bool:
        return bool(self._encoding & SIGNED) if self.kind == INT else self._flagged

    @property
    def boolean(self) -> bool:
        return self.kind == INT and bool(self._encoding & BOOL)

    @property
    def _encoding(self) -> int:
        return self._btf.data[self._at + 3] & 0xF

    @functools.cached_property
    def members(self) -> tuple[Member, ...]:
        """The members of a struct or union as they are written; no other type has any."""
        return tuple(member for member, _ in self._members())

    def flat_members(self) -> Iterator[Member]:
        """The members, with those of nameless structs and unions in place of these, as C lets one write them."""
        for member, type_id in self._members():
            inner = self._btf.type(type_id)
            if member.name or inner.kind not in (STRUCT, UNION):
                yield member
                continue
            for nested in inner.flat_members():
                yield nested._replace(offset=member.offset + nested.offset)

    def typed_members(self) -> Iterator[tuple[Member, BtfType]]:
        """The members, each with its type."""
        return ((member, self._btf.type(type_id)) for member, type_id in self._members())

    def _members(self) -> Iterator[tuple[Member, int]]:
        if self.kind not in (STRUCT, UNION):
            return
        for index in range(self._vlen):
            name, type_id, position = _THREE_WORDS.unpack_from(self._btf.data, self._at + 12 * index)
            bits, position = divmod(position, 1 << 24) if self._flagged else (0, position)
            yield (
                Member(
                    name=self._btf.text(name),
                    type=self._btf.spelling(type_id),
                    offset=position // 8,
                    size=self._btf.type(type_id).size,
                    bit_offset=position % 8,
                    bits=bits,
                ),
                type_id,
            )

    def variables(self) -> Iterator[Variable]:
        """The variables of a data section."""
        if self.kind != DATASEC:
            return
        for index in range(self._vlen):
            type_id, offset, size = _THREE_WORDS.unpack_from(self._btf.data, self._at + 12 * index)
            _, _, _, of, name, _ = self._btf.record(type_id)
            yield Variable(name, offset, size, of)


class Btf:
    """A set of types. Reading one costs a pass over its headers; types are taken apart when asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            magic, _, _, size, type_at, type_size, self._strings, _ = _HEADER.unpack_from(data)
            if magic != MAGIC:
                raise ValueError("not BTF, or of the other byte order")
            self._strings += size
            self._positions = [0, *self._index(size + type_at, size + type_at + type_size)]
        except (struct.error, IndexError) as error:
            raise ValueError("BTF cut short") from error

    @classmethod
    def of_object(cls, path: Path) -> Self:
        """Read the .BTF section of an object file. Raise ValueError if it has none."""
        return cls(section(path, ".BTF"))

    @classmethod
    def of_map(cls, map: BpfMap) -> Self | None:
        """Read what a live map was made with; None if it was made without BTF."""
        data = map.read_btf()
        return cls(data) if data is not None else None

    def _index(self, at: int, end: int) -> Iterator[int]:
        unpack = _TYPE.unpack_from
        while at < end:
            yield at
            _, info, _ = unpack(self.data, at)
            kind = info >> 24 & 0x1F
            at += 12 + _TAIL.get(kind, 0) + _EACH.get(kind, 0) * (info & 0xFFFF)

    def record(self, type_id: int) -> tuple[int, int, bool, int, str, int]:
        """Kind, number of members, kind flag, size or type, name, and where the rest is. Type 0 is void."""
        if not type_id:
            return 0, 0, False, 0, "void", 0
        if type_id >= len(self._positions):
            raise ValueError(f"no type {type_id} in this BTF")
        at = self._positions[type_id]
        name, info, word = _TYPE.unpack_from(self.data, at)
        return info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31), word, self.text(name), at + 12

    def text(self, offset: int) -> str:
        start = self._strings + offset
        end = self.data.find(b"\0", start)
        if end < 0:
            raise ValueError("BTF cut short")
        return self.data[start:end].decode(errors="replace")

    def type(self, type_id: int) -> BtfType:
        """The type with that id, behind its typedefs and qualifiers."""
        for _ in self._positions:
            kind, _, _, word, _, _ = self.record(type_id)
            if kind not in _QUALIFIERS:
                return BtfType(self, type_id)
            type_id = word
        raise ValueError(f"type {type_id} stands for itself")

    def spelling(self, type_id: int) -> str:
        """Name a type as a declaration would, without "struct" and qualifiers; a nameless one by its kind."""
        kind, _, _, word, name, at = self.record(type_id)
        if kind in (VOLATILE, CONST, RESTRICT, TYPE_TAG):
            return self.spelling(word)
        if kind == PTR:
            return f"{self.spelling(word)} *"
        if kind == ARRAY:
            element, _, count = _THREE_WORDS.unpack_from(self.data, at)
            return f"{self.spelling(element)}[{count}]"
        return name or _NAMELESS.get(kind, "")

    @functools.cached_property
    def structs(self) -> Mapping[str, BtfType]:
        """The named structs and unions."""
        return {found.name: found for found in self._of_kind(STRUCT, UNION) if found.name}

    def struct(self, name: str) -> BtfType:
        return self.structs[name]

    @functools.cached_property
    def sections(self) -> Mapping[str, tuple[Variable, ...]]:
        """The data sections, with their variables. In an object file their offsets are not yet filled in."""
        return {found.name: tuple(found.variables()) for found in self._of_kind(DATASEC)}

    def _of_kind(self, *kinds: int) -> Iterator[BtfType]:
        for type_id in range(1, len(self._positions)):
            (info,) = struct.unpack_from("=I", self.data, self._positions[type_id] + 4)
            if info >> 24 & 0x1F in kinds:
                yield BtfType(self, type_id)
