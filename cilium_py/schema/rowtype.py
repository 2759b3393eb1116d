"""What the type of a row says of it."""

from __future__ import annotations

from typing import Any


def field_names(row: type[tuple[Any, ...]]) -> tuple[str, ...]:
    """The names of a NamedTuple's fields, in order."""
    names: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # a NamedTuple has no other type
    return names
