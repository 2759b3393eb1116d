"""Lines, JSON and CSV of a layout's rows as steps for the kernel: the same text that Python makes of each row.

A definition's template and a layout's columns are walked once; where a column depends on a test of the entry, so do
the steps. Raises Unsupported for a column or format that there is no step for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeVar

from cilium_py.render.choices import chosen, tests_of
from cilium_py.render.steps import Program, Unsupported, Writing
from cilium_py.render.values import converters
from cilium_py.schema import Line, Table
from cilium_py.schema.decoder import Decoder
from cilium_py.schema.form import Column, Either, Field, Name, Names, Prefixed, Seconds, Within
from cilium_py.schema.template import Cells, Each, Instead, Part, Shown, Template, Unless, When, split
from cilium_py.schema.text import mac

NEAR = 2
"""Columns that depend on one test share a branch if no more than so many parts are between them."""

Write = Callable[[Column], None]
T = TypeVar("T")


def program_of(form: str, text: Line[Any] | Table[Any], decoder: Decoder[Any]) -> Program:
    """The steps for one of the formats text, json, jsonl and csv."""
    match form:
        case "text":
            lines = _Lines(decoder)
            return lines.table(text) if isinstance(text, Table) else lines.lines(text)
        case "json":
            return _Machine(decoder).objects(",\n  {", "}")
        case "jsonl":
            return _Machine(decoder).objects("{", "}\n")
        case "csv":
            return _Machine(decoder).records()
    raise Unsupported(form)


class _Item(NamedTuple):
    """Something to write, and the tests that it branches by."""

    write: Callable[[], None]
    tests: tuple[Within, ...] = ()


class _Walk:
    """Writes columns. `known` are the tests that hold or fail on the branch that is being written."""

    def __init__(self, decoder: Decoder[Any]) -> None:
        self.row: type[tuple[Any, ...]] = decoder.row
        self.columns = decoder.every_column()
        self.writing = Writing(decoder)
        self.known: dict[Within, bool] = {}

    def sequence(self, items: Sequence[_Item]) -> None:
        """Write items one after the other; those near each other that branch by the same test do it once."""
        at = 0
        while at < len(items):
            test = next((test for test in items[at].tests if test not in self.known), None)
            end = at + 1
            for other in range(at + 1, len(items)):
                if test is None or other - end > NEAR:
                    break
                if test in items[other].tests:
                    end = other + 1
            if test is None or end == at + 1:
                items[at].write()
            else:
                together = partial(self.sequence, items[at:end])
                self.branch(test, together, together)
            at = end

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

    def words(self, column: Column, said: Callable[[Any], str]) -> bool:
        """Write a column that is one of some constants; False if it is not."""
        choice = chosen(column)
        if choice is None:
            return False
        field, constants = choice
        self.writing.name(Name(field, {number: said(constant) for number, constant in constants.items()}))
        return True

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


class _Lines(_Walk):
    """The lines of a template."""

    def lines(self, line: Line[Any]) -> Program:
        if not isinstance(line.line, Template) or not isinstance(line.shown, Unless | None):
            raise Unsupported("lines that are made by a function")
        if line.shown is not None:
            self.leave_out(line.shown)
        self.sequence(self.items(line.line.parts))
        self.writing.text("\n")
        return self.writing.program()

    def table(self, table: Table[Any]) -> Program:
        """Each cell ends with its column's number; the last too, where it is padded."""
        if not isinstance(table.cells, Cells):
            raise Unsupported("cells that are made by a function")
        for number, cell in enumerate(table.cells.templates):
            self.sequence(self.items(cell.parts))
            if number < len(table.titles) - 1 or table.padded != "none":
                self.writing.end_cell(number)
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

    def items(self, parts: Sequence[Part]) -> list[_Item]:
        found = []
        for part in parts:
            if isinstance(part, str):
                found += [self.item(piece) for piece in split(part)]
            else:
                found.append(_Item(partial(self.part, part), tests_of(self.columns[part.name])))
        return found

    def item(self, piece: str | Shown) -> _Item:
        if isinstance(piece, str):
            return _Item(partial(self.writing.text, piece))
        column = self.columns[piece.name]
        return _Item(partial(self.piece, column, piece), tests_of(column))

    def piece(self, column: Column, piece: Shown) -> None:
        if not self.words(column, str):
            self.resolved(column, lambda column: self.shown(column, piece))

    def part(self, part: When | Each | Instead) -> None:
        column = self.columns[part.name]
        match part:
            case When():
                self.when(part)
            case Each():
                self.resolved(column, lambda column: self.each(column, part))
            case Instead(_, words):
                if not self.words(column, lambda word: words[word]):
                    self.resolved(column, lambda column: self.writing.text(_replaced(column, words)))

    def shown(self, column: Column, piece: Shown) -> None:
        if piece.mask is not None and isinstance(column, Field):
            column = column & piece.mask
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

    def each(self, column: Column, each: Each) -> None:
        if not isinstance(column, Names):
            raise Unsupported(f"each of {column!r}")
        before, after = each.text.split("{}")
        with self.writing.when(column.field.has(sum(column.names))) if each.none else nullcontext():
            self.writing.names(column, before, after + each.between, taken_back=len(each.between))
        if each.none:
            with self.writing.otherwise():
                self.writing.text(each.none)

    def when(self, part: When) -> None:
        def there() -> None:
            self.sequence(self.items(part.parts))

        def absent() -> None:
            self.sequence(self.items([part.otherwise]))

        def truth(column: Column) -> None:
            match column:
                case Field() if part.bits:
                    self.branch(column.has(part.bits), there, absent if part.otherwise else None)
                case Within():
                    self.branch(column, there, absent if part.otherwise else None)
                case None | False:
                    absent()
                case int() if part.bits:
                    (there if column & part.bits else absent)()
                case _ if part.bits:
                    raise Unsupported(f"bits of {column!r}")
                case _:
                    there()

        self.resolved(self.columns[part.name], truth)


class _Machine(_Walk):
    """Rows as JSON objects, or as records of CSV."""

    def objects(self, start: str, end: str) -> Program:
        kinds, items = dict(converters(self.row)), list[_Item]()
        for at, (name, column) in enumerate(self.columns.items()):
            before = (", " if at else start) + f"{json.dumps(name)}: "
            items.append(_Item(partial(self.member, before, column, kinds[name]), tests_of(column)))
        self.sequence(items)
        self.writing.text(end)
        return self.writing.program()

    def member(self, before: str, column: Column, kind: Callable[[Any], Any] | None) -> None:
        self.writing.text(before)
        if not self.words(column, partial(json.dumps, ensure_ascii=False)):
            self.resolved(column, partial(self.value, kind=kind))

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
                self.writing.names(column, '"', '", ', taken_back=2)
                self.writing.text("]")
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
        kinds, items = dict(converters(self.row)), list[_Item]()
        for at, (name, column) in enumerate(self.columns.items()):
            items.append(_Item(partial(self.record, "," if at else "", column, kinds[name]), tests_of(column)))
        self.sequence(items)
        self.writing.text("\n")
        return self.writing.program()

    def record(self, before: str, column: Column, kind: Callable[[Any], Any] | None) -> None:
        self.writing.text(before)
        if not self.words(column, _said):
            self.resolved(column, partial(self.cell, kind=kind))

    def cell(self, column: Column, kind: Callable[[Any], Any] | None) -> None:
        match column:
            case Field() if self.writing.is_bytes(column):
                self.octets(column, kind)
            case Prefixed():
                self.writing.prefix(column)
            case Name(_, names):
                self.writing.name(_plain(column, names.values()))
            case Names(_, names):
                self.writing.names(_plain(column, names.values()), "", " ", taken_back=1)
            case str() | int() | None:
                self.writing.text(_said(column))
            case _:
                self.count(column)


def _nothing() -> None:
    pass


def _replaced(column: Column, words: Mapping[str, str]) -> str:
    if not isinstance(column, str):
        raise Unsupported(f"other words for {column!r}")
    return words[column]


def _said(constant: Any) -> str:
    """A constant in CSV."""
    match constant:
        case None:
            return ""
        case bool():
            return "true" if constant else "false"
    return _plain(str(constant), [str(constant)])


def _plain(column: T, texts: Iterable[str]) -> T:
    """The column, if CSV has its texts as they are."""
    if any(set('",\r\n') & set(text) for text in texts):
        raise Unsupported("a text that CSV quotes")
    return column
