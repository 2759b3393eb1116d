"""Entries as bpftool prints them by a map's BTF, turned back into the bytes that they were.

bpftool writes one field after the other, as numbers in the machine's order, bit fields each by its name, and unions
with every view of theirs. A nameless struct or union has an empty name, which may therefore occur again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import as_file, files
from typing import Any, TypeAlias

from cilium_py.bpf.btf import ARRAY, STRUCT, UNION, Btf, BtfType
from cilium_py.schema import Layout, Pad, Struct

Fields: TypeAlias = list[tuple[str, Any]]
"""A JSON object with its names in order, of which some may be alike."""


class Unlike(ValueError):
    """The fields are not those of the type."""


def chosen(layouts: tuple[Layout[Any], ...], key: Any, value: Any) -> Layout[Any] | None:
    """The layout that has most of the names that an entry has, and fewest others; of two alike, the newer."""
    scored = []
    for layout in layouts:
        try:
            encoded(layout.key, key)
            encoded(layout.value, value)
        except Unlike:
            continue
        scored.append((likeness(layout.key, key) + likeness(layout.value, value), layout))
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def likeness(struct: type[Struct], value: Any) -> int:
    """How many names a layout and a value have in common, less those that only one of them has."""
    if not isinstance(value, list):
        return 0
    named = {name for name, _ in leaves(value)}
    own = {bit for m in struct.members if m.bits is not None for bit in m.bits.spans()}
    own |= {m.name for m in struct.members if m.bits is None and not isinstance(m.kind, Pad)}
    return len(named & own) - len(named ^ own)


def encoded(struct: type[Struct], value: Any) -> bytes:
    """The bytes of a record, by the struct that our own programs have, else by the names alone. Raises Unlike."""
    try:
        kind = _types().structs.get(struct.c_struct) if struct.c_struct else None
        if kind is not None:
            with suppress(Unlike):
                return by_type(kind, value)
        return by_names(struct, value)
    except (TypeError, AttributeError, OverflowError, ValueError) as error:
        raise Unlike(str(error)) from error


@cache
def _types() -> Btf:
    with as_file(files("cilium_py.objects") / "bpf_alignchecker.o") as path:
        return Btf.of_object(path)


def by_type(kind: BtfType, value: Any) -> bytes:
    """The bytes of a value of a BTF type."""
    if kind.kind in (STRUCT, UNION):
        return _record(kind, value)
    if kind.kind == ARRAY:
        if not isinstance(value, list):
            raise Unlike(f"{kind.name}: no list")
        if not value:
            return bytes(kind.size)
        size, rest = divmod(kind.size, len(value))
        if rest or size > 8:
            raise Unlike(f"{kind.name}: {len(value)} elements")
        return b"".join(whole(item, size) for item in value)
    return whole(value, kind.size)


def _record(kind: BtfType, value: Any) -> bytes:
    if not isinstance(value, list):
        raise Unlike(f"{kind.name}: no object")
    members = list(kind.typed_members())
    if len(members) != len(value):
        raise Unlike(f"{kind.name}: {len(value)} fields, it has {len(members)}")
    room = 0
    for (member, inner), (name, item) in zip(members, value, strict=True):
        if member.name != name:
            raise Unlike(f"{kind.name}: {name} where {member.name} is")
        if member.bits:
            room |= (number(item) & (1 << member.bits) - 1) << 8 * member.offset + member.bit_offset
        else:
            room |= int.from_bytes(by_type(inner, item), "little") << 8 * member.offset
    return room.to_bytes(kind.size, "little")


def by_names(struct: type[Struct], value: Any) -> bytes:
    """The bytes of a layout whose fields have the names of the values. What has no value is zero."""
    if isinstance(value, int | str):
        [member] = struct.members
        return whole(value, member.size)
    known: dict[str, Any] = {}
    for name, item in leaves(value):
        known.setdefault(name, item)
    room, found, taken = bytearray(struct.size), 0, set()
    for member in struct.members:
        if member.bits is not None:
            held = 0
            for name, (first, bits) in member.bits.spans().items():
                if name in known:
                    found += 1
                    held |= (number(known[name]) & (1 << bits) - 1) << first
            room[member.offset : member.offset + member.size] = held.to_bytes(member.size, "little")
        elif member.name in known:
            found += 1
            item = known[member.name]
            room[member.offset : member.offset + member.size] = whole(item, member.size)
            taken.add(member.name)
        elif member.size == 16 and (address := _address(known, taken)) is not None:
            found += 1
            room[member.offset : member.offset + 16] = address
    if 2 * found < len(known):
        raise Unlike(f"{struct.__name__}: {found} of {len(known)} names")
    return bytes(room)


def leaves(value: Fields) -> Iterator[tuple[str, Any]]:
    """Name and value of every field, nested ones as if they stood in the outermost struct."""
    for name, item in value:
        if not (isinstance(item, list) and item and isinstance(item[0], tuple)):
            yield name, item
            continue
        nested = list(leaves(item))
        address = dict(nested).get("addr")
        if name and address is not None:
            yield name, address
        else:
            yield from nested


def _address(known: dict[str, Any], taken: set[str]) -> bytes | None:
    """The sixteen bytes of a union that has no name of its own."""
    for name, item in known.items():
        if name not in taken and isinstance(item, list) and len(item) == 16:
            taken.add(name)
            return whole(item, 16)
    return None


def whole(value: Any, size: int) -> bytes:
    """A number of so many bytes, or a list of bytes."""
    if isinstance(value, list):
        if value and len(value) <= size and size % len(value) == 0:
            return b"".join(whole(item, size // len(value)) for item in value)
        if not value:
            return bytes(size)
        raise Unlike(f"{len(value)} elements in {size} bytes")
    held = number(value)
    if held < 0:
        held += 1 << 8 * size
    if not 0 <= held < 1 << 8 * size:
        raise Unlike(f"{held} in {size} bytes")
    return held.to_bytes(size, "little")


def number(value: Any) -> int:
    """12, "0x1f", true or "a": what bpftool writes for an integer, a bit field, a bool and a char."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, str) and len(value) == 1:
        return ord(value)
    raise Unlike(f"{str(value)[:40]!r} is no number")
