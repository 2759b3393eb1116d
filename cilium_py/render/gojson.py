"""Go values as encoding/json and fmt print them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from cilium_py.errors import CiliumPyError
from cilium_py.schema.golang import Blob, GoStruct, Marshaled, Named, Time

HTML = str.maketrans({
    "<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029",
})  # fmt: skip


def indented(value: Any) -> str:
    """Over several lines, two spaces a level."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False).translate(HTML)


def compact(value: Any) -> str:
    """On one line without spaces."""
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False).translate(HTML)


def is_marshaled(value: Any) -> bool:
    """Whether a string stands for a Go struct that marshals as one."""
    return isinstance(value, Marshaled)


def plain(value: Any) -> Any:
    """A Go value in terms of Python's json module: embedded structs dissolved, keys of maps sorted."""
    if isinstance(value, GoStruct):
        return _object(value)
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Blob):
        return b64encode(value).decode()
    if isinstance(value, Time) and value[4] != "-":
        raise CiliumPyError(f"{value}: JSON has no years beyond 9999 in Go", "leave out --compat, or take -o yaml")
    return list(value) if isinstance(value, bytes) else value


def _object(struct: GoStruct) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field, value in zip(struct.type.fields, struct.values, strict=True):
        if field.embedded and not field.json and isinstance(value, GoStruct):
            fields.update(_object(value))
        else:
            fields[field.json or field.name] = plain(value)
    return fields


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
    if isinstance(value, (list, tuple, bytes)):
        return "[" + " ".join(map(said, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{said(value[key])}" for key in sorted(value)) + "]"
    return str(value)
