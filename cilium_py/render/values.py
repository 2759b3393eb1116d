"""Fields of a row to the plain values of the machine formats: numbers as numbers, addresses as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cilium_py.schema import Address, Mac, Prefix
from cilium_py.schema.text import ip, mac, prefix

Converter = Callable[[Any], Any]


@cache
def converters(row: type[tuple[Any, ...]]) -> tuple[tuple[str, Converter | None], ...]:
    """(field name, how its value becomes plain; None if it is plain already) for each field of a row type."""
    hints = get_type_hints(row, include_extras=True)
    return tuple((name, _converter(hints[name])) for name in row._fields)  # type: ignore[attr-defined]  # NamedTuple


MARKED: tuple[tuple[Any, Converter], ...] = ((Address, ip), (Mac, mac), (Prefix, prefix))
"""The words of a row that stand for bytes, and how those become text."""


def _converter(hint: Any) -> Converter | None:
    for word, convert in MARKED:
        if hint == word:
            return convert
    if get_origin(hint) in (Union, UnionType):
        return _converter(next(option for option in get_args(hint) if option is not NoneType))
    if get_origin(hint) is list:
        item = _converter(get_args(hint)[0])
        return None if item is None else lambda values: [item(value) for value in values]
    if hint in (int, str, bool, float):
        return None
    return plain


def is_row(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def plain(value: Any) -> Any:
    """A value of a row in terms of JSON: rows become objects, tuples become lists."""
    if is_row(value):
        return as_object(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def as_object(row: Any) -> dict[str, Any]:
    """A row as a JSON object, its keys the row's field names in order."""
    return {
        name: value if convert is None or value is None else convert(value)
        for (name, convert), value in zip(converters(row.__class__), row, strict=True)
    }


def member(row: Any, name: str) -> Any:
    """What as_object has of one name. Raises KeyError."""
    position, convert = _positions(row.__class__)[name]
    value = row[position]
    return value if convert is None or value is None else convert(value)


@cache
def _positions(row: type[tuple[Any, ...]]) -> dict[str, tuple[int, Converter | None]]:
    return {name: (position, convert) for position, (name, convert) in enumerate(converters(row))}
