"""A row as a line of JSON, by a function made for its type: what each field is, is looked at once and not per row."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, lru_cache
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cilium_py.render.values import MARKED, converters

Writer = Callable[[Any], str]
encoded = json.JSONEncoder(ensure_ascii=False).encode
quoted = lru_cache(4096)(encode_basestring)


@cache
def writer(row: type[tuple[Any, ...]]) -> Writer:
    """Writes rows of a type as JSON objects, their keys the field names in order."""
    hints = get_type_hints(row, include_extras=True)
    fields = converters(row)
    template = "{" + ", ".join(f"{encoded(name)}: %s" for name, _ in fields) + "}"
    writers = tuple(_writer(hints[name], convert) for name, convert in fields)

    def line(value: Any) -> str:
        return template % tuple([write(field) for write, field in zip(writers, value, strict=True)])

    return line


def _writer(hint: Any, convert: Callable[[Any], Any] | None) -> Writer:
    if get_origin(hint) in (Union, UnionType):
        [plain] = [option for option in get_args(hint) if option is not NoneType]
        write = _writer(plain, convert)
        return lambda value: "null" if value is None else write(value)
    if hint is int:
        return int.__repr__
    if hint is bool:
        return lambda value: "true" if value else "false"
    if hint is str:
        return quoted
    if any(hint == mark for mark, _ in MARKED):
        assert convert is not None
        return lambda value: f'"{convert(value)}"'
    if hint == list[str]:
        return lambda values: f"[{', '.join(map(quoted, values))}]"
    if convert is None:
        return encoded
    return lambda value: encoded(convert(value))
