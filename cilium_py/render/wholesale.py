"""Lines, JSON and CSV of a layout's rows as steps for the kernel: the same text that Python makes of each row.

A definition's template and a layout's columns are walked once; where a column depends on a test of the entry, so do
the steps. Raises Unsupported for a column or format that there is no step for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from cilium_py.render.steps import Program, Unsupported, Writing
from cilium_py.render.values import converters
from cilium_py.schema import Line
from cilium_py.schema.decoder import Decoder
from cilium_py.schema.form import Column, Either, Field, Name, Names, Prefixed, Seconds, Within
from cilium_py.schema.template import Each, Instead, Part, Shown, Template, Unless, When, split
from cilium_py.schema.text import mac

GUARDED = 2
"""With more names of flags than this, one test comes first that asks whether any is set."""

Write = Callable[[Column], None]
T = TypeVar("T")


def program_of(form: str, line: Line[Any], decoder: Decoder[Any]) -> Program:
    """The steps for one of the formats text, json, jsonl and csv."""
    match form:
        case "text":
            return _Lines(decoder).lines(line)
        case "json":
            return _Machine(decoder).objects(",\n  {", "}")
        case "jsonl":
            return _Machine(decoder).objects("{", "}\n")
        case "csv":
            return _Machine(decoder).records()
    raise Unsupported(form)


class _Walk:
    """Writes columns. `known` are the tests that hold or fail on the branch that is being written."""

    def __init__(self, decoder: Decoder[Any]) -> None:
        self.row: type[tuple[Any, ...]] = decoder.row
        self.columns = decoder.every_column()
        self.writing = Writing(decoder)
        self.known: dict[Within, bool] = {}

    def branch(self, test: Within, then: Callable[[], None], otherwise: Callable[[], None] | None) -> None:
        if test in self.known:
            (then if self.known[test] else otherwise or _nothing)()
            return
        with self.writing.when(test):
            self._assuming(test, True, then)
        if otherwise is not None:
            with self.writing.otherwise():
                self._assuming(test, False, otherwise)

    def _assuming(self, test: Within, holds: bool, write: Callable[[], None]) -> None:
        before = self.known
        self.known = {**before, test: holds}
        write()
        self.known = before

    def resolved(self, column: Column, write: Write) -> None:
        """Have one or the other side of each Either written."""
        if isinstance(column, Either):
            self.branch(
                column.test,
                lambda: self.resolved(column.then, write),
                lambda: self.resolved(column.otherwise, write),
            )
        else:
            write(column)

    def names(self, names: Names, before: str, after: str, taken_back: int = 0) -> None:
        """Each name that is set, between two texts; at the end some characters are taken back again."""
        field = names.field

        def each() -> None:
            for bit, name in sorted(names.names.items()):
                with self.writing.when(field.has(bit & field.mask)):
                    self.writing.text(before + name + after)
            if taken_back:
                self.writing.back(taken_back)

        if taken_back or len(names.names) > GUARDED:
            with self.writing.when(field.has(sum(names.names) & field.mask)):
                each()
        else:
            each()


class _Lines(_Walk):
    """The lines of a template."""

    def lines(self, line: Line[Any]) -> Program:
        if not isinstance(line.line, Template) or not isinstance(line.shown, Unless | None):
            raise Unsupported("lines that are made by a function")
        if line.shown is not None:
            self.leave_out(line.shown)
        self.parts(line.line.parts)
        self.writing.text("\n")
        return self.writing.program()

    def leave_out(self, unless: Unless) -> None:
        column = self.columns[unless.name]
        if not isinstance(column, Name):
            raise Unsupported("rows without a line by this column")
        for number, name in column.names.items():
            if name == unless.word:
                with self.writing.when(column.field.equals(number)):
                    self.writing.drop()

    def parts(self, parts: tuple[Part, ...]) -> None:
        for part in parts:
            self.part(part)

    def part(self, part: Part) -> None:
        match part:
            case str():
                for piece in split(part):
                    self.piece(piece)
            case When():
                self.when(part)
            case Each(name, text):
                self.resolved(self.columns[name], lambda column: self.each(column, text))
            case Instead(name, words):
                self.resolved(self.columns[name], lambda column: self.writing.text(_replaced(column, words)))

    def piece(self, piece: str | Shown) -> None:
        if isinstance(piece, str):
            self.writing.text(piece)
        else:
            self.resolved(self.columns[piece.name], lambda column: self.shown(column, piece))

    def shown(self, column: Column, piece: Shown) -> None:
        if piece.mask is not None and isinstance(column, Field):
            column = column & (column.mask & piece.mask)
        match column:
            case Field() if self.writing.is_bytes(column):
                self.address(column, piece.format)
            case Field() if piece.format:
                self.digits(column, piece.format)
            case Field():
                self.writing.number(column)
            case Name():
                self.writing.name(column)
            case Prefixed():
                self.writing.prefix(column)
            case Seconds():
                self.writing.seconds(column)
            case str() | int() if not isinstance(column, bool):
                self.writing.text(format(column, piece.format))
            case _:
                raise Unsupported(f"{column!r} in a line")

    def address(self, field: Field, form: str) -> None:
        wide = form == "[go]" and self.writing.size(field) == 16
        match form:
            case "mac":
                self.writing.mac(field)
            case "ip" | "go" | "[go]":
                self.writing.text("[" if wide else "")
                self.writing.address(field, mapped_is_ip4=form != "ip")
                self.writing.text("]" if wide else "")
            case _:
                raise Unsupported(f"an address as {form!r}")

    def digits(self, field: Field, form: str) -> None:
        """Hexadecimal numbers such as #06x."""
        if not (form.startswith("#0") and form.endswith("x")):
            raise Unsupported(f"a number as {form!r}")
        self.writing.text("0x")
        self.writing.hexadecimal(field, int(form[2:-1]) - 2)

    def each(self, column: Column, text: str) -> None:
        if not isinstance(column, Names):
            raise Unsupported(f"each of {column!r}")
        before, after = text.split("{}")
        self.names(column, before, after)

    def when(self, part: When) -> None:
        def there() -> None:
            self.parts(part.parts)

        def absent() -> None:
            self.part(part.otherwise)

        def truth(column: Column) -> None:
            match column:
                case Field() if part.bits:
                    self.branch(column.has(part.bits & column.mask), there, absent if part.otherwise else None)
                case Within():
                    self.branch(column, there, absent if part.otherwise else None)
                case None | False:
                    absent()
                case _ if part.bits:
                    raise Unsupported(f"bits of {column!r}")
                case _:
                    there()

        self.resolved(self.columns[part.name], truth)


class _Machine(_Walk):
    """Rows as JSON objects, or as records of CSV."""

    def objects(self, start: str, end: str) -> Program:
        kinds = dict(converters(self.row))
        for at, (name, column) in enumerate(self.columns.items()):
            self.writing.text((", " if at else start) + f"{json.dumps(name)}: ")
            self.resolved(column, partial(self.value, kind=kinds[name]))
        self.writing.text(end)
        return self.writing.program()

    def value(self, column: Column, kind: Callable[[Any], Any] | None) -> None:
        match column:
            case Field() if self.writing.is_bytes(column):
                self.quoted(lambda: self.octets(column, kind))
            case Prefixed():
                self.quoted(lambda: self.writing.prefix(column))
            case Name():
                if any(json.dumps(name) != f'"{name}"' for name in column.names.values()):
                    raise Unsupported("a name that JSON escapes")
                self.quoted(lambda: self.writing.name(column))
            case Names():
                self.writing.text("[")
                self.names(column, '"', '", ', taken_back=2)
                self.writing.text("]")
            case Within():
                self.branch(column, lambda: self.writing.text("true"), lambda: self.writing.text("false"))
            case str() | int() | None:
                self.writing.text(json.dumps(column, ensure_ascii=False))
            case _:
                self.count(column)

    def quoted(self, write: Callable[[], None]) -> None:
        self.writing.text('"')
        write()
        self.writing.text('"')

    def octets(self, field: Field, kind: Callable[[Any], Any] | None) -> None:
        if kind is mac:
            self.writing.mac(field)
        else:
            self.writing.address(field, mapped_is_ip4=False)

    def count(self, column: Column) -> None:
        match column:
            case Field():
                self.writing.number(column)
            case Seconds():
                self.writing.seconds(column)
            case _:
                raise Unsupported(f"{column!r} as a number")

    def records(self) -> Program:
        kinds = dict(converters(self.row))
        for at, (name, column) in enumerate(self.columns.items()):
            self.writing.text("," if at else "")
            self.resolved(column, partial(self.cell, kind=kinds[name]))
        self.writing.text("\n")
        return self.writing.program()

    def cell(self, column: Column, kind: Callable[[Any], Any] | None) -> None:
        match column:
            case Field() if self.writing.is_bytes(column):
                self.octets(column, kind)
            case Prefixed():
                self.writing.prefix(column)
            case Name(_, names):
                self.writing.name(_plain(column, names.values()))
            case Names(_, names):
                self.names(_plain(column, names.values()), "", " ", taken_back=1)
            case Within():
                self.branch(column, lambda: self.writing.text("true"), lambda: self.writing.text("false"))
            case bool():
                self.writing.text("true" if column else "false")
            case str() | int():
                self.writing.text(str(_plain(column, [str(column)])))
            case None:
                pass
            case _:
                self.count(column)


def _nothing() -> None:
    pass


def _replaced(column: Column, words: Mapping[str, str]) -> str:
    if not isinstance(column, str):
        raise Unsupported(f"other words for {column!r}")
    return words[column]


def _plain(column: T, texts: Iterable[str]) -> T:
    """The column, if CSV has its texts as they are."""
    if any(set('",\r\n') & set(text) for text in texts):
        raise Unsupported("a text that CSV quotes")
    return column
