"""What `bpftool map dump` prints, read entry by entry: JSON, plain or by BTF, and hexadecimal text.

cilium-bugtool keeps such outputs as they are, or between the lines of a Markdown block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from .bounded import LIMITS, Bounded
from .formatted import Fields
from .recording import shape_error

CHUNK = 1 << 18
MOST_CHARACTERS = 8 << 20
"""Of the text of one entry."""
_BARE_HEX = re.compile(r"(: )(0x[0-9a-fA-F]+)(?=[,\s}])")
_BETWEEN = re.compile(r"[\s,]*")
_FENCE = re.compile(r"\A\s*(?:# [^\n]*\n\s*)?```[a-z]*\n")
_VALUE = re.compile(r"value(?: \(CPU (\d+)\))?:")
_HEX_LINE = re.compile(r"(?:[0-9a-f]{2}(?:\s+|\Z))*\Z")

Value: TypeAlias = "bytes | Fields | int | str"


class Entry(NamedTuple):
    """Key and value as bytes, or as fields by BTF; of a per-CPU map, the values of all CPUs."""

    key: Any
    values: list[Any]
    per_cpu: bool
    formatted: tuple[Any, Any] | None = None
    """Both by BTF too, where the output has both."""


def entries(stream: Bounded) -> Iterator[Entry]:
    """The entries of an output; nothing for one that says there are none. Raises BadRecording."""
    text = _Text(stream)
    text.skip(_FENCE)
    start = text.start()
    if start == "[":
        yield from _json(text)
    elif start in ("k", "F"):
        yield from _plain(text)
    elif start:
        raise shape_error(stream.path, f"no output of bpftool map dump: {text.buffer[:60].strip()!r}")


class _Text:
    """Text of which only a window is held."""

    def __init__(self, stream: Bounded) -> None:
        self._stream = stream
        self.path = stream.path
        self.buffer = ""
        self.at_end = False
        self._held = b""
        self.more()

    def more(self) -> None:
        """Read on, in whole lines where there are any."""
        data = self._stream.read(CHUNK)
        self.at_end = not data
        data = self._held + data
        cut = len(data) if self.at_end else data.rfind(b"\n") + 1 or len(data)
        self._held = data[cut:]
        try:
            text = data[:cut].decode("ascii")
        except UnicodeDecodeError as error:
            raise shape_error(self.path, "no text of bpftool") from error
        self.buffer += _BARE_HEX.sub(r'\1"\2"', text)
        if len(self.buffer) > MOST_CHARACTERS:
            raise shape_error(self.path, "an entry without an end")

    def skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self.buffer):
            self.buffer = self.buffer[found.end() :]

    def start(self) -> str:
        """The first character that is no space; empty at the end."""
        while not self.buffer.strip() and not self.at_end:
            self.buffer = ""
            self.more()
        self.buffer = self.buffer.lstrip()
        return self.buffer[:1]

    def lines(self) -> Iterator[str]:
        while True:
            *whole, rest = self.buffer.split("\n")
            yield from whole
            self.buffer = rest
            if self.at_end:
                yield rest
                return
            self.more()


def _json(text: _Text) -> Iterator[Entry]:
    decode = json.JSONDecoder(object_pairs_hook=list).raw_decode
    at = 1
    while True:
        at = _BETWEEN.match(text.buffer, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if text.buffer[at : at + 1] == "]":
            return
        try:
            item, at = decode(text.buffer, at)
        except (ValueError, RecursionError) as error:
            text.buffer, at = text.buffer[at:], 0
            if text.at_end or isinstance(error, RecursionError):
                raise shape_error(text.path, f"ends early, or is no JSON: {text.buffer[:40]!r}") from error
            text.more()
            continue
        entry = _entry(item, text)
        if entry is not None:
            yield entry


def _entry(item: Any, text: _Text) -> Entry | None:
    if not (isinstance(item, list) and all(isinstance(pair, tuple) for pair in item)):
        raise shape_error(text.path, f"no entry: {str(item)[:60]}")
    fields = dict(item)
    if "key" not in fields:
        raise shape_error(text.path, f"an entry without a key: {str(item)[:60]}")
    per_cpu = "values" in fields
    found = fields.get("values") if per_cpu else [[("value", fields.get("value"))]]
    if not isinstance(found, list):
        raise shape_error(text.path, "values that are no list")
    try:
        values = [dict(each)["value"] for each in found]
        both = dict(fields["formatted"]) if "formatted" in fields else None
        named = None
        if both is not None:
            by_cpu = both.get("values")
            named = both["key"], dict(by_cpu[0])["value"] if by_cpu else both.get("value")
        if any(value is None or _is_error(value) for value in values):
            return None
        return Entry(_octets(fields["key"]), [_octets(value) for value in values], per_cpu, named)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise shape_error(text.path, f"no entry: {str(item)[:60]}") from error


def _is_error(value: Any) -> bool:
    """What stands for a value that could not be read, as those of buffers cannot."""
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], tuple) and value[0][0] == "error"


def _octets(value: Any) -> Any:
    """Bytes, if they are written as such: a list of "0x00" strings."""
    if isinstance(value, list) and value and all(isinstance(each, str) and each[:2] == "0x" for each in value):
        return bytes(int(each, 16) for each in value)
    return value


def _plain(text: _Text) -> Iterator[Entry]:
    key, values, per_cpu, into = bytearray(), list[bytearray](), False, bytearray()
    began = readable = False
    for line in text.lines():
        line = line.strip()
        if line.startswith("Found ") or line == "```":
            break
        for part in re.split(r"(key:|value(?: \(CPU \d+\))?:)", line):
            if part == "key:":
                if began and readable and values:
                    yield Entry(bytes(key), [bytes(value) for value in values], per_cpu)
                key, values, per_cpu, began, readable = bytearray(), [], False, True, True
                into = key
            elif (found := _VALUE.fullmatch(part)) is not None:
                per_cpu = per_cpu or found[1] is not None
                into = bytearray()
                values.append(into)
            elif not _HEX_LINE.match(part.strip()):
                readable = False  # what stands there says why the value could not be read
            elif part.strip():
                into += bytes.fromhex("".join(part.split()))
                if len(into) > LIMITS.entry:
                    raise shape_error(text.path, "an entry without an end")
    if began and readable and values:
        yield Entry(bytes(key), [bytes(value) for value in values], per_cpu)
