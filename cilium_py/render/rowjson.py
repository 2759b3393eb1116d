"""A row as a line of JSON."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any

from cilium_py.render.rowtext import Forms, Writer, row_writer
from cilium_py.render.values import Converter
from cilium_py.schema.rowtype import field_names

encoded = json.JSONEncoder(ensure_ascii=False).encode
quoted = lru_cache(4096)(encode_basestring)


@cache
def writer(row: type[tuple[Any, ...]]) -> Writer:
    """Writes rows of a type as JSON objects, their keys the field names in order."""
    return row_writer(row, "{" + ", ".join(f"{encoded(name)}: %s" for name in field_names(row)) + "}", FORMS)


def _marked(convert: Converter) -> Writer:
    return lambda value: f'"{convert(value)}"'


def _list(values: list[str]) -> str:
    return f"[{', '.join(map(quoted, values))}]"


FORMS = Forms("null", "false", "true", int.__repr__, quoted, _marked, _list, encoded)
