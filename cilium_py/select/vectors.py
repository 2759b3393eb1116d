"""The values that one column has in every entry of a batch, without making rows of the entries.

What is said of a column here is what the decoder (schema.decoder) makes of it for one entry. The work for an entry is
done inside of struct, map and zip, whose loops are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, repeat
from operator import add
from struct import Struct as Shape
from typing import Any

from cilium_py.schema import Int, form
from cilium_py.schema.decoder import Decoder, member_of
from cilium_py.schema.derived import FAMILIES, AddressFamily, Summary
from cilium_py.schema.fields import Raw
from cilium_py.schema.remembered import Remembered
from cilium_py.schema.rowtype import field_names
from cilium_py.schema.text import flag_names
from cilium_py.schema.timestamp import seconds
from cilium_py.select.fields import Field
from cilium_py.select.masks import Columns
from cilium_py.select.numbers import Structs, number_at, tested

Vector = Callable[[Columns], Iterable[Any]]
MOST_SUMMARIES = 4096


def vector_of(field: Field, decoder: Decoder[Any]) -> Vector | None:
    """What reads a field of the rows from batches; None if it is one that depends on the time."""
    structs = {"key": decoder.key, "value": decoder.value}
    columns = decoder.every_column()
    if isinstance(field.derived, Summary):
        known = _summaries(field.derived, decoder.row)
        vectors = [_vector(columns[name], structs) for name in field.derived.needs]
        return lambda batch: map(known.__getitem__, zip(*(vector(batch) for vector in vectors), strict=True))
    if isinstance(field.derived, AddressFamily):
        address = columns[field.derived.of]
        size = _size(address, structs)
        if size is not None:
            return repeat_of(FAMILIES.get(size, ""))
        read = _vector(address, structs)
        return lambda batch: [FAMILIES.get(len(value or b""), "") for value in read(batch)]
    return _vector(columns[field.name], structs) if field.derived is None else None


def _summaries(summary: Summary[Any], row: type[tuple[Any, ...]]) -> Remembered[tuple[Any, ...], str]:
    """Values of the fields that a summary needs -> the summary."""
    blank = dict.fromkeys(field_names(row))

    def of(values: tuple[Any, ...]) -> str:
        return summary.of(row(**{**blank, **dict(zip(summary.needs, values, strict=True))}))

    return Remembered(of, MOST_SUMMARIES)


def _vector(column: form.Column, structs: Structs) -> Vector:
    match column:
        case form.Field():
            return _field(column, structs)
        case form.Within():
            return _choice(column, repeat_of(True), repeat_of(False), structs)
        case form.Either(test, then, otherwise):
            return _choice(test, _vector(then, structs), _vector(otherwise, structs), structs)
        case form.Name(field, names):
            return _mapped(field, lambda number: names.get(number, str(number)), structs)
        case form.Names(field, names):
            return _mapped(field, lambda number: flag_names(number, names), structs)
        case form.Seconds(field, now, hertz, left):
            sign = 1 if left else -1
            return _mapped(field, lambda ticks: sign * (seconds(ticks, hertz) - now), structs)
        case form.Prefixed(address, length):
            one, other = _field(address, structs), _field(length, structs)
            return lambda columns: zip(one(columns), other(columns), strict=True)
        case form.Sum((first, *rest)):
            total = _field(first, structs)
            for field in rest:
                total = _added(total, _field(field, structs))
            return total
        case _:
            return repeat_of(column)


def repeat_of(value: Any) -> Vector:
    return lambda columns: repeat(value, columns.count)


def _added(one: Vector, other: Vector) -> Vector:
    return lambda columns: map(add, one(columns), other(columns))


def _choice(test: form.Within, then: Vector, otherwise: Vector, structs: Structs) -> Vector:
    which = tested(test, structs)
    assert which is not None, f"{test.field.name} is no integer"

    def chosen(columns: Columns) -> Iterable[Any]:
        mask = which(columns)
        if not mask:
            return otherwise(columns)
        if mask == columns.all:
            return then(columns)
        marks = mask.to_bytes(columns.count, "little")
        return [a if mark else b for mark, a, b in zip(marks, then(columns), otherwise(columns), strict=True)]

    return chosen


def _mapped(field: form.Field, meaning: Callable[[int], Any], structs: Structs) -> Vector:
    """What a number means. Of a byte, everything that it can mean is found out beforehand."""
    number = number_at(field, structs)
    if number is None or len(number.octets) > 1:
        read = _field(field, structs)
        return lambda columns: map(meaning, read(columns))
    side, at = number.side, number.octets[0]
    table = [meaning(((octet & field.mask) >> field.shift) - field.less) for octet in range(256)]
    return lambda columns: map(table.__getitem__, columns.column(side, at))


def _field(field: form.Field, structs: Structs) -> Vector:
    member = member_of(structs[field.side], field.name)
    side, at, kind = field.side, member.offset, member.kind
    is_whole = field.mask == form.WIDEST and not field.shift and not field.less
    if isinstance(kind, Int) and not field.cut:
        if member.size == 1:
            if is_whole:
                return lambda columns: columns.column(side, at)
            return _mapped(field, int, structs)
        read = _unpacked(side, f"{'>' if kind.big else '<'}{at}x{kind.code}", structs)
        if is_whole:
            return read
        mask, shift, less = field.mask, field.shift, field.less
        return lambda columns: [((number & mask) >> shift) - less for number in read(columns)]
    return _unpacked(side, f"<{at}x{_length(field, structs)}s", structs)


def _unpacked(side: str, shape: str, structs: Structs) -> Vector:
    """The one field of a shape, which is filled up to the size of an entry."""
    iter_unpack = Shape(f"{shape}{structs[side].size - Shape(shape).size}x").iter_unpack
    return lambda columns: chain.from_iterable(iter_unpack(columns.buffer(side)))


def _length(field: form.Field, structs: Structs) -> int:
    """How many bytes a field of bytes has."""
    member = member_of(structs[field.side], field.name)
    return min(field.cut or member.size, member.size) if isinstance(member.kind, Raw) else field.cut


def _size(column: form.Column, structs: Structs) -> int | None:
    """How long an address is in every entry; None if that differs, or there may be none."""
    match column:
        case form.Field():
            return _length(column, structs)
        case form.Either(_, then, otherwise):
            one, other = _size(then, structs), _size(otherwise, structs)
            return one if one == other else None
    return None
