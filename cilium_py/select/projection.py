"""Rows of some fields alone: their type, their text, and families of maps that have no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any, NamedTuple, TypeVar, cast, get_args, get_type_hints

from cilium_py.schema import MapDef, Table
from cilium_py.schema.decoder import Decoder
from cilium_py.schema.rowtype import field_names
from cilium_py.schema.template import Cells, Each, Part, Template, When
from cilium_py.select.fields import Field, Kind, reader
from cilium_py.select.selection import Selection, text_of
from cilium_py.table import OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
Row = type[tuple[Any, ...]]
FORMATS = {
    Kind.NUMBER: "", Kind.DECIMAL: "", Kind.TEXT: "", Kind.TIME: "", Kind.ADDRESS: ":ip", Kind.PREFIX: ":prefix",
    Kind.MAC: ":mac",
}  # fmt: skip


def row_of(row: Row, columns: Sequence[Field]) -> Row:
    """The type of rows that have these columns of another."""
    hints = get_type_hints(row, include_extras=True)
    derived = {Kind.TIME: int, Kind.TEXT: str}
    made = [(each.name, hints[each.name] if each.derived is None else derived[each.kind]) for each in columns]
    return cast(Row, NamedTuple("Row", made))


def cut(selection: Selection[R], shown: Row) -> Callable[[R], tuple[Any, ...]]:
    """What makes a row of the chosen columns."""
    readers = [reader(each, selection.fields, selection.moment) for each in selection.columns]
    return lambda row: shown._make(read(row) for read in readers)  # type: ignore[attr-defined]  # NamedTuple


def table_of(shown: Row, columns: Sequence[Field]) -> Table[Any]:
    """Text of rows that have no text of their own: their fields, with the names as titles."""
    titles = tuple(each.name.upper().replace("_", " ") for each in columns)
    hints = get_type_hints(shown, include_extras=True)
    parts = [_part(each, has_none=NoneType in get_args(hints[each.name])) for each in columns]
    told = [part for part in parts if part is not None]
    if len(told) == len(parts):
        return Table(titles, Cells(*(Template(shown, part) for part in told)), padded="none")

    def cells(row: Any) -> tuple[str, ...]:
        from cilium_py.render.values import as_object

        return tuple(text_of(value) for value in as_object(row).values())

    return Table(titles, cells, padded="none")


def _part(column: Field, *, has_none: bool) -> Part | None:
    """How a column is written; None if only text_of knows."""
    said = f"{{{column.name}{FORMATS.get(column.kind, '')}}}"
    match column.kind:
        case Kind.FLAG if not has_none:
            return When(column.name, "yes", otherwise="no")
        case Kind.NAMES if not has_none:
            return Each(column.name, "{}", between=",")
        case Kind.FLAG | Kind.NAMES | Kind.OTHER:
            return None
    return When(column.name, said, otherwise="-") if has_none else said


def declared(definition: MapDef[Any], columns: Sequence[Field]) -> MapDef[Any] | None:
    """A family whose rows have these columns alone; None if they do not all follow from the bytes of an entry."""
    layouts = [layout for source in (*definition.sources, *definition.scoped) for layout in source.layouts]
    is_told = definition.keep is None and all(isinstance(layout.decode, Decoder) for layout in layouts)
    if not is_told or any(each.derived is not None for each in columns):
        return None
    shown = row_of(definition.row, columns)
    return replace(definition, row=shown, text=table_of(shown, columns), compat=None, derived=())


def reduced(tables: Iterable[OpenTable[Any]], shown: Row) -> Iterator[OpenTable[Any]]:
    """The same tables with rows of a declared family's columns."""
    names = field_names(shown)
    for table in tables:
        decoder = table.layout.decode
        assert isinstance(decoder, Decoder)
        every = decoder.every_column()
        fewer = Decoder(shown, decoder.key, decoder.value, {name: every[name] for name in names})
        table.layout = replace(table.layout, decode=fewer)
        yield table
