"""Fields of a row to the plain values of the machine formats: numbers as numbers, addresses as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from cilium_py.schema import Address, Mac
from cilium_py.schema.text import ip, mac

Converter = Callable[[Any], Any]


@cache
def converters(row: type[tuple[Any, ...]]) -> tuple[tuple[str, Converter | None], ...]:
    """(field name, how its value becomes plain; None if it is plain already) for each field of a row type."""
    hints = get_type_hints(row, include_extras=True)
    return tuple((name, _converter(hints[name])) for name in row._fields)  # type: ignore[attr-defined]  # NamedTuple


def _converter(hint: Any) -> Converter | None:
    if hint == Address:
        return ip
    if hint == Mac:
        return mac
    if hint in (int, str, bool, float, list[str], list[int]) or getattr(hint, "__origin__", None) is None:
        return plain if isinstance(hint, type) and issubclass(hint, tuple) else None
    return plain


def plain(value: Any) -> Any:
    """A value of a row in terms of JSON: rows become objects, tuples become lists."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
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
