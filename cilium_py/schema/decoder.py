"""Columns -> a Python function of one entry: what serves small tables and every kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from cilium_py.schema.fields import Int
from cilium_py.schema.form import (
    WIDEST,
    Column,
    Columns,
    Either,
    Field,
    Name,
    Names,
    Prefixed,
    Seconds,
    Sum,
    Within,
)
from cilium_py.schema.kind import Kind
from cilium_py.schema.mapdef import Layout
from cilium_py.schema.remembered import Remembered
from cilium_py.schema.rowtype import field_names
from cilium_py.schema.struct import Member, Struct, swap
from cilium_py.schema.text import flag_names
from cilium_py.schema.timestamp import seconds

MOST_LISTS = 4096
R = TypeVar("R", bound=tuple[Any, ...])


class Decoder(Generic[R]):
    """A layout's `decode`, made of its columns when it is first called."""

    def __init__(self, row: type[R], key: type[Struct], value: type[Struct], columns: Columns) -> None:
        self.row = row
        self.key = key
        self.value = value
        self.columns = columns

    def __call__(self, key: Struct, value: Struct) -> R:
        return self.function(key, value)

    def __repr__(self) -> str:
        return f"<Decoder of {self.key.__name__} and {self.value.__name__}>"

    def amended(self, columns: Columns) -> Decoder[R]:
        """With other columns in the place of some."""
        return Decoder(self.row, self.key, self.value, {**self.columns, **columns})

    def every_column(self) -> dict[str, Column]:
        """A column for each field of the row, in its order."""
        defaults: dict[str, Column] = getattr(self.row, "_field_defaults", {})
        names = field_names(self.row)
        unknown = self.columns.keys() - set(names)
        if unknown:
            raise TypeError(f"{self.row.__name__} has no field {', '.join(sorted(unknown))}")
        return {name: self.columns[name] if name in self.columns else defaults[name] for name in names}

    @cached_property
    def function(self) -> Callable[[Struct, Struct], R]:
        writer = _Writer({"key": self.key, "value": self.value})
        cells = ", ".join(writer.column(column) for column in self.every_column().values())
        source = f"lambda k, v: new(row, ({cells},))"
        made: Callable[[Struct, Struct], R] = eval(source, {**writer.known, "new": tuple.__new__, "row": self.row})
        return made

    def member(self, field: Field) -> Member:
        """Where a field of the columns lies."""
        return member_of({"key": self.key, "value": self.value}[field.side], field.name)


def declared(
    release: str, row: type[R], key: type[Struct], value: type[Struct], columns: Columns, kind: Kind = Kind.HASH
) -> Layout[R]:
    """A layout whose rows follow from columns."""
    return Layout(release, key, value, Decoder(row, key, value, columns), kind)


def amended(layout: Layout[R], columns: Columns) -> Layout[R]:
    """A declared layout with other columns in the place of some."""
    assert isinstance(layout.decode, Decoder)
    return replace(layout, decode=layout.decode.amended(columns))


def member_of(struct: type[Struct], name: str) -> Member:
    return next(member for member in struct.members if member.name == name)


class _Said(dict[int, str]):
    """Number -> its name, or the number as text."""

    def __missing__(self, number: int) -> str:
        return str(number)


class _Writer:
    """Columns as Python source; `known` are the names that the source uses."""

    def __init__(self, structs: dict[str, type[Struct]]) -> None:
        self.structs = structs
        self.known: dict[str, Any] = {"swap": swap, "seconds": seconds}

    def column(self, column: Column) -> str:
        match column:
            case Field():
                return self.field(column)
            case Within():
                return self.test(column)
            case Either(test, then, otherwise):
                return f"({self.column(then)} if {self.test(test)} else {self.column(otherwise)})"
            case Name(field, names):
                return f"{self.constant(_Said(names))}[{self.field(field)}]"
            case Names(field, names):
                listed = Remembered(partial(flag_names, names=names), MOST_LISTS)
                return f"{self.constant(listed)}[{self.field(field)}]"
            case Prefixed(address, length):
                return f"({self.field(address)}, {self.field(length)})"
            case Sum(fields):
                return f"({' + '.join(map(self.field, fields))})"
            case Seconds(field, now, hertz, left):
                then = f"seconds({self.field(field)}, {hertz})"
                return f"({then} - {now})" if left else f"({now} - {then})"
            case _:
                return repr(column)

    def constant(self, held: Any) -> str:
        name = f"c{len(self.known)}"
        self.known[name] = held
        return name

    def test(self, test: Within) -> str:
        number = self.field(test.field)
        if test.least == test.most:
            return f"({number} == {test.least})"
        if test.most == WIDEST:
            return f"({number} >= {test.least})"
        return f"({test.least} <= {number} <= {test.most})"

    def field(self, field: Field) -> str:
        struct, short = self.structs[field.side], field.side[0]
        member = member_of(struct, field.name)
        stored = [each.name for each in struct.members if each.kind.code[-1] != "x"]
        read = f"{short}[{stored.index(field.name)}]"
        if not isinstance(member.kind, Int):
            return f"{read}[:{field.cut}]" if 0 < field.cut < member.size else read
        if field.cut:
            return f"{short}.pack()[{member.offset}:{member.offset + field.cut}]"
        if member.kind.big and member.size == 2:
            read = f"(({read} & 255) << 8 | {read} >> 8)"
        elif member.kind.big:
            read = f"swap({read}, {member.size})"
        if field.mask != WIDEST:
            read = f"({read} & {field.mask})"
        if field.shift:
            read = f"({read} >> {field.shift})"
        return f"({read} - {field.less})" if field.less else read
