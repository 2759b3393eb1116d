"""Go values as encoding/json and fmt print them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from functools import cache, cached_property, lru_cache
from json.encoder import encode_basestring
from types import NoneType
from typing import Any

from cilium_py.render.bytype import ByType
from cilium_py.schema.golang import Blob, GoStruct, GoType, Hole, Marshaled, Named, Nil

HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def indented(value: Any, depth: int = 0) -> str:
    """Over several lines, two spaces a level, of a value with so many levels around it."""
    return _form("\n" + "  " * depth, "  ", ": ")(value)


def compact(value: Any) -> str:
    """On one line without spaces."""
    return _form("", "", ":")(value)


def is_marshaled(value: Any) -> bool:
    """Whether a string stands for a Go struct that marshals as one."""
    return isinstance(value, Marshaled)


def _quoted(text: str) -> str:
    quoted = encode_basestring(text)
    for character, escaped in HTML.items():
        if character in quoted:
            quoted = quoted.replace(character, escaped)
    return quoted


_name = lru_cache(4096)(_quoted)
"""The names of an object are most often those of the one before."""


class _Form:
    """How values are written at one depth. Of each struct type, its text with places for the fields is made once."""

    def __init__(self, newline: str, step: str, colon: str) -> None:
        """`newline` is a line's end and the indent of the line that closes a value."""
        self.newline, self.step, self.colon = newline, step, colon
        self.inner = newline + step
        self.types: dict[GoType, tuple[str, list[bool]]] = {}
        self.kinds = ByType({
            str: _quoted,
            bool: lambda value: "true" if value else "false",
            int: int.__repr__,
            float: json.dumps,
            NoneType: lambda _: "null",
            Nil: lambda _: "null",
            Hole: str.__str__,
            Blob: lambda data: f'"{b64encode(data).decode()}"',
            bytes: lambda data: self.listed(map(str, data)),
            list: lambda items: self.listed(map(self.within, items)),
            tuple: lambda items: self.listed(map(self.within, items)),
            dict: self.mapping,
            GoStruct: lambda struct: self.braced(self.members(struct)),
        })  # fmt: skip

    def __call__(self, value: Any) -> str:
        return self.kinds[type(value)](value)

    @cached_property
    def within(self) -> _Form:
        return _form(self.inner, self.step, self.colon)

    def listed(self, items: Iterable[str]) -> str:
        text = f",{self.inner}".join(items)
        return f"[{self.inner}{text}{self.newline}]" if text else "[]"

    def mapping(self, value: dict[Any, Any]) -> str:
        """Sorted by its keys."""
        members = [f"{_name(str(key))}{self.colon}{self.within(value[key])}" for key in sorted(value)]
        return self.braced(f",{self.inner}".join(members))

    def braced(self, members: str) -> str:
        return f"{{{self.inner}{members}{self.newline}}}" if members else "{}"

    def members(self, struct: GoStruct) -> str:
        """What is between the braces: embedded structs are dissolved."""
        if struct.type not in self.types:
            self.types[struct.type] = self.places_in(struct.type)
        template, dissolved = self.types[struct.type]
        kinds, pairs = self.within.kinds, zip(dissolved, struct.values, strict=True)
        return template % tuple([self.members(v) if is_dissolved else kinds[type(v)](v) for is_dissolved, v in pairs])

    def places_in(self, struct: GoType) -> tuple[str, list[bool]]:
        """The text of a struct type, and which of its fields are dissolved in it."""
        dissolved = [field.embedded and not field.json for field in struct.fields]
        names = [_quoted(field.json or field.name).replace("%", "%%") + self.colon for field in struct.fields]
        places = ["%s" if is_dissolved else f"{name}%s" for is_dissolved, name in zip(dissolved, names, strict=True)]
        return f",{self.inner}".join(places), dissolved


_form = cache(_Form)


def said(value: Any) -> str:
    """As fmt prints a value with %v."""
    if isinstance(value, Named):
        return value.text
    if isinstance(value, GoStruct):
        return value.text() if value.text is not None else "{" + " ".join(map(said, value.values)) + "}"
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
