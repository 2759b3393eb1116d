"""Go's gob streams, which describe their own types: into numbers, text, bytes, lists and dicts by field name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = Any  # whatever the stream says

BOOL, INT, UINT, FLOAT, BYTES, STRING, COMPLEX, INTERFACE = range(1, 9)
WIRE_TYPE, ARRAY_TYPE, COMMON_TYPE, SLICE_TYPE, STRUCT_TYPE, FIELD_TYPE, FIELDS, MAP_TYPE, OPAQUE_TYPE = range(16, 25)
DEEPEST = 32


class BadGob(ValueError):
    """Not a gob, or cut off."""


@dataclass(frozen=True)
class _Struct:
    fields: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class _List:
    element: int


@dataclass(frozen=True)
class _Map:
    key: int
    element: int


class _Opaque:
    """Bytes that the type's own methods wrote, of a URL or an address, say."""


_Type: TypeAlias = _Struct | _List | _Map | _Opaque


_FIRST: dict[int, _Type] = {
    WIRE_TYPE: _Struct(
        (
            ("array", ARRAY_TYPE),
            ("slice", SLICE_TYPE),
            ("struct", STRUCT_TYPE),
            ("map", MAP_TYPE),
            ("gob", OPAQUE_TYPE),
            ("binary", OPAQUE_TYPE),
            ("text", OPAQUE_TYPE),
        )
    ),
    COMMON_TYPE: _Struct((("name", STRING), ("id", INT))),
    ARRAY_TYPE: _Struct((("common", COMMON_TYPE), ("element", INT), ("length", INT))),
    SLICE_TYPE: _Struct((("common", COMMON_TYPE), ("element", INT))),
    STRUCT_TYPE: _Struct((("common", COMMON_TYPE), ("fields", FIELDS))),
    FIELD_TYPE: _Struct((("name", STRING), ("id", INT))),
    FIELDS: _List(FIELD_TYPE),
    MAP_TYPE: _Struct((("common", COMMON_TYPE), ("key", INT), ("element", INT))),
    OPAQUE_TYPE: _Struct((("common", COMMON_TYPE),)),
}
"""How type descriptions are themselves described, known to both sides from the start."""


@dataclass
class Decoder:
    """One stream: feed it bytes, get the values that are complete."""

    _types: dict[int, _Type] = field(default_factory=lambda: dict(_FIRST))
    _rest: bytes = b""

    def feed(self, data: bytes) -> list[Value]:
        """Raises BadGob; a field that is missing in a struct was zero."""
        data = self._rest + data
        found: list[Value] = []
        at = 0
        while at < len(data):
            cursor = _Cursor(data, at)
            try:
                length = cursor.unsigned()
            except BadGob:
                break
            if cursor.at + length > len(data):
                break
            body = _Cursor(data[cursor.at : cursor.at + length])
            type_id = body.signed()
            if type_id < 0:
                self._define(-type_id, self._value(WIRE_TYPE, body))
            else:
                if not isinstance(self._types.get(type_id), _Struct):
                    body.unsigned()
                found.append(self._value(type_id, body))
            at = cursor.at + length
        self._rest = data[at:]
        return found

    def _define(self, type_id: int, wire: dict[str, Any]) -> None:
        match wire:
            case {"struct": found}:
                fields = tuple((each.get("name", ""), each.get("id", 0)) for each in found.get("fields", ()))
                self._types[type_id] = _Struct(fields)
            case {"slice": found} | {"array": found}:
                self._types[type_id] = _List(found.get("element", 0))
            case {"map": found}:
                self._types[type_id] = _Map(found.get("key", 0), found.get("element", 0))
            case _:
                self._types[type_id] = _Opaque()

    def _value(self, type_id: int, cursor: _Cursor, depth: int = 0) -> Value:
        if depth > DEEPEST:
            raise BadGob("nested too deep")
        match self._types.get(type_id):
            case _Struct(fields):
                return self._struct(fields, cursor, depth)
            case _List(element):
                return [self._value(element, cursor, depth + 1) for _ in range(cursor.count())]
            case _Map(key, element):
                return {
                    str(self._value(key, cursor, depth + 1)): self._value(element, cursor, depth + 1)
                    for _ in range(cursor.count())
                }
            case _Opaque():
                return cursor.octets().decode(errors="replace")
        return self._simple(type_id, cursor, depth)

    def _struct(self, fields: tuple[tuple[str, int], ...], cursor: _Cursor, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        number = -1
        while step := cursor.unsigned():
            number += step
            if number >= len(fields):
                raise BadGob(f"field {number} of {len(fields)}")
            name, type_id = fields[number]
            found[name] = self._value(type_id, cursor, depth + 1)
        return found

    def _simple(self, type_id: int, cursor: _Cursor, depth: int) -> Value:
        read = _SIMPLE.get(type_id)
        if read is not None:
            return read(cursor)
        if type_id != INTERFACE:
            raise BadGob(f"type {type_id} was never described")
        if not cursor.octets():
            return None
        inner = cursor.signed()
        cursor.unsigned()
        if not isinstance(self._types.get(inner), _Struct):
            cursor.unsigned()
        return self._value(inner, cursor, depth + 1)


@dataclass
class _Cursor:
    data: bytes
    at: int = 0

    def unsigned(self) -> int:
        """Below 128 one byte; else the count of bytes, negated, and the bytes, highest first."""
        first = self._take(1)[0]
        if first < 0x80:
            return first
        length = 256 - first
        if length > 8:
            raise BadGob(f"a number of {length} bytes")
        return int.from_bytes(self._take(length))

    def signed(self) -> int:
        """The sign is the lowest bit, the rest then complemented."""
        number = self.unsigned()
        return ~(number >> 1) if number & 1 else number >> 1

    def count(self) -> int:
        number = self.unsigned()
        if number > len(self.data):
            raise BadGob(f"{number} elements in {len(self.data)} bytes")
        return number

    def floating(self) -> float:
        """Bytes from the lowest to the highest, since small numbers have zeros at the end."""
        found: float = struct.unpack("<d", self.unsigned().to_bytes(8))[0]
        return found

    def octets(self) -> bytes:
        return self._take(self.unsigned())

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise BadGob("cut off")
        found, self.at = self.data[self.at : end], end
        return found


_SIMPLE: dict[int, Callable[[_Cursor], Value]] = {
    BOOL: lambda cursor: bool(cursor.unsigned()),
    INT: _Cursor.signed,
    UINT: _Cursor.unsigned,
    FLOAT: _Cursor.floating,
    BYTES: _Cursor.octets,
    STRING: lambda cursor: cursor.octets().decode(errors="replace"),
    COMPLEX: lambda cursor: [cursor.floating(), cursor.floating()],
}
