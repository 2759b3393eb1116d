"""Reading what may be made to do harm: a stream that ends where it should, and JSON of the expected shape."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, get_type_hints
from zipfile import BadZipFile

from .recording import BadRecording, shape_error

T = TypeVar("T")
N = TypeVar("N", bound=tuple[Any, ...])

ALWAYS = 64 << 20
"""Bytes that any file may expand to."""
RATIO = 200
"""How many times its size a larger one may; what the kernel writes stays far below."""
DAMAGE = (EOFError, zlib.error, BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError)
"""What Python's decompressors raise on damaged or unknown data."""


class Bounded(io.RawIOBase):
    """A decompressed stream that may not grow to more than so many times of what it came from."""

    def __init__(self, stream: BinaryIO, compressed: int, path: Path, beneath: BinaryIO | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._beneath = beneath
        self.size = compressed
        self.path = path
        self._most = max(ALWAYS, RATIO * compressed)
        self._read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._read += max(0, offset - self._stream.tell()) if whence == 0 else 0
        self._check()
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:  # whatever has room for bytes
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(min(size, self._most + 1) if size >= 0 else self._most + 1)
        except BadRecording:
            raise
        except DAMAGE as error:
            raise shape_error(self.path, str(error) or type(error).__name__) from error
        self._read += len(data)
        self._check()
        return data

    def close(self) -> None:
        self._stream.close()
        if self._beneath is not None:
            self._beneath.close()
        super().close()

    def _check(self) -> None:
        if self._read > self._most:
            raise shape_error(self.path, f"expands to more than {self._most >> 20} MiB, or {RATIO} times its size")

    def exactly(self, size: int) -> bytes:
        """So many bytes, or an error."""
        parts, left = [], size
        while left:
            data = self.read(min(left, 1 << 20))
            if not data:
                raise shape_error(self.path, "ends early")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)


def parsed(data: bytes, path: Path) -> Any:  # whatever JSON there is
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise shape_error(path, f"not JSON: {error}") from error


def object_of(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise shape_error(path, "not a JSON object where one belongs")
    return value


def typed(value: Any, kind: type[N], path: Path) -> N:
    """A NamedTuple of a JSON object that has its fields, each of its type; fields of later versions are ignored."""
    found = object_of(value, path)
    fields: dict[str, Any] = {}
    for name, wanted in get_type_hints(kind).items():
        if name not in found and name in getattr(kind, "_field_defaults", {}):
            continue
        checker = CHECKS.get(str(wanted), CHECKS.get(getattr(wanted, "__name__", "")))
        assert checker is not None, f"{kind.__name__}.{name}: {wanted} has no check"
        if name not in found or not checker(found[name]):
            raise shape_error(path, f"{kind.__name__} {name} is {str(found.get(name, 'missing'))[:60]}")
        fields[name] = found[name]
    return kind(**fields)


def several(value: Any, kind: type[N], path: Path) -> list[N]:
    if not isinstance(value, list):
        raise shape_error(path, f"no list of {kind.__name__}")
    return [typed(item, kind, path) for item in value]


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 4096


def _each(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


CHECKS: dict[str, Callable[[object], bool]] = {
    "int": _is_number,
    "str": _is_text,
    "bool": lambda value: isinstance(value, bool),
    "list[int]": _each(_is_number),
    "list[str]": _each(_is_text),
    "int | None": lambda value: value is None or _is_number(value),
    "float": lambda value: _is_number(value) or (isinstance(value, float) and 0 <= value < 1e18),
    "dict[str, int]": lambda value: isinstance(value, dict) and all(map(_is_number, value.values())),
}


class Limits(NamedTuple):
    """The largest shapes that are believed."""

    key: int = 4096
    value: int = 1 << 22
    cpus: int = 8192
    entry: int = 16 << 20
    batch: int = 32 << 20


LIMITS = Limits()
