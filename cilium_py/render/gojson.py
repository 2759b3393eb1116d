"""Go values as encoding/json and fmt print them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from cilium_py.schema.golang import Blob, GoStruct, Marshaled, Named, Nil

HTML = str.maketrans({
    "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029",
})  # fmt: skip


def indented(value: Any) -> str:
    """Over several lines, two spaces a level."""
    return _json(value, "\n", "  ", ": ")


def compact(value: Any) -> str:
    """On one line without spaces."""
    return _json(value, "", "", ":")


def is_marshaled(value: Any) -> bool:
    """Whether a string stands for a Go struct that marshals as one."""
    return isinstance(value, Marshaled)


def _json(value: Any, newline: str, step: str, colon: str) -> str:
    """`newline` is a line's end and the indent of the line that closes this value."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return ("true" if value else "false") if isinstance(value, bool) else int.__repr__(value)
    if value is None or isinstance(value, Nil):
        return "null"
    if isinstance(value, float):
        return json.dumps(value)
    inner = newline + step
    if isinstance(value, Blob):
        return f'"{b64encode(value).decode()}"'
    if isinstance(value, bytes):
        return f"[{inner}{f',{inner}'.join(map(str, value))}{newline}]" if value else "[]"
    if isinstance(value, (list, tuple)):
        items = [_json(item, inner, step, colon) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{newline}]" if items else "[]"
    members = [f"{_quoted(name)}{colon}{_json(item, inner, step, colon)}" for name, item in _members(value)]
    return f"{{{inner}{f',{inner}'.join(members)}{newline}}}" if members else "{}"


def _members(value: GoStruct | dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values of an object: embedded structs dissolved, keys of a map sorted."""
    if isinstance(value, dict):
        yield from ((str(key), value[key]) for key in sorted(value))
        return
    for field, item in zip(value.type.fields, value.values, strict=True):
        if field.embedded and not field.json and isinstance(item, GoStruct):
            yield from _members(item)
        else:
            yield field.json or field.name, item


@lru_cache(4096)
def _quoted(text: str) -> str:
    return encode_basestring(text).translate(HTML)


def said(value: Any) -> str:
    """As fmt prints a value with %v."""
    if isinstance(value, Named):
        return value.text
    if isinstance(value, GoStruct):
        return value.text if value.text is not None else "{" + " ".join(map(said, value.values)) + "}"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, (list, tuple, bytes)):
        return "[" + " ".join(map(said, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{said(value[key])}" for key in sorted(value)) + "]"
    return str(value)
