"""YAML as Go's yaml.v3 writes it: four spaces, its quoting, map keys in natural order.

Takes dicts, lists, strings, integers, booleans and None; a dict of type `Natural` has its keys sorted, any other
keeps their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cilium_py.schema.golang import Time

INDENT = 4

WORD = re.compile(
    r"""
    |~|null|Null|NULL
    |true|True|TRUE|false|False|FALSE
    |[yY]|[nN]|yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF            # booleans of YAML 1.1
    |[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN
    |[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?                   # base 60, of YAML 1.1
    |\d{4}-\d{1,2}-\d{1,2}([Tt]|[ ])\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)?(Z|[-+]\d{2}:\d{2})?
    |\d{4}-\d{1,2}-\d{1,2}                                          # timestamps
    """,
    re.VERBOSE,
)
NUMBER = re.compile(
    r"""
    [-+]?(0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+)
    |[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
    """,
    re.VERBOSE,
)
"""With underscores wherever one likes, but for the beginning."""

INDICATOR_FIRST = set("#,[]{}&*!|>'\"%@`")
ESCAPES = {
    "\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r",
    "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N",
}  # fmt: skip


class Natural(dict[str, Any]):
    """A Go map: its keys are sorted as yaml.v3 does."""


def document(value: Any) -> str:
    """The whole text of a value, with the newline at its end."""
    if isinstance(value, (dict, list)) and value:
        return "\n".join(_block(value, 0)) + "\n"
    return _flat(value) + "\n"


def _block(value: dict[str, Any] | list[Any], indent: int) -> Iterator[str]:
    """The lines of a collection that is not empty."""
    space = " " * indent
    if isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)) and item:
                lines = _block(item, indent + 2)
                yield f"{space}- {next(lines).lstrip(' ')}"
                yield from lines
            else:
                yield from _scalar_lines(f"{space}- ", item, indent + 2)
        return
    for key in sorted(value, key=Key) if isinstance(value, Natural) else value:
        item, start = value[key], f"{space}{_string(key)}:"
        if isinstance(item, (dict, list)) and item:
            yield start
            yield from _block(item, _deeper(indent))
        else:
            yield from _scalar_lines(start + " ", item, _deeper(indent))


def _deeper(indent: int) -> int:
    """The next indent: the next multiple of four, also from within a list item, which is indented by two."""
    return (indent // INDENT + 1) * INDENT


def _scalar_lines(start: str, value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value and _literal_allowed(value):
        chomp = "+" if value == "\n" or value.endswith("\n\n") else "" if value.endswith("\n") else "-"
        hint = str(INDENT) if value[0] in " \n" else ""
        yield f"{start}|{hint}{chomp}"
        lines = value.removeprefix("\n").removesuffix("\n").split("\n") if value != "\n" else []
        yield from (" " * indent + line if line else "" for line in lines)
        return
    yield start + _flat(value)


def _literal_allowed(text: str) -> bool:
    """No special characters, and no space that the end of a line would hide."""
    return all(c in "\n\t" or _is_printable(c) for c in text) and not re.search(r" (\n|$)", text)


def _is_printable(character: str) -> bool:
    """What yaml.v3 writes as it is: no control characters, and none beyond the first plane."""
    return " " <= character <= "~" or ("\xa0" <= character <= "\ufffd" and character != "\ufeff")


def _flat(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, list):
        return "[]"
    if isinstance(value, dict):
        return "{}"
    return value if isinstance(value, Time) else _string(str(value))


def _string(text: str) -> str:
    """A string on one line: plain where it can be, else in single quotes, else in double quotes."""
    if _reads_as_something_else(text):
        return f'"{text}"'
    if any(not _is_printable(c) for c in text):
        return '"' + "".join(_escaped(c) for c in text) + '"'
    if _needs_quotes(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def _reads_as_something_else(text: str) -> bool:
    """Whether a plain scalar would be read back as a number, a boolean, a time or nothing."""
    return bool(WORD.fullmatch(text) or (text[0] in "+-.0123456789" and NUMBER.fullmatch(text.replace("_", ""))))


def _escaped(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    if _is_printable(character):
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _needs_quotes(text: str) -> bool:
    first = text[0]
    return (
        text.startswith(("---", "..."))
        or first in INDICATOR_FIRST
        or (first in "-?:" and text[1:2] in ("", " "))
        or first == " "
        or text[-1] in " :"
        or ": " in text
        or " #" in text
    )


class Key:
    """Natural order of map keys: runs of digits by value, letters after everything else unless behind a digit."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: Key) -> bool:
        a, b = self.text, other.text
        for at, (x, y) in enumerate(zip(a, b, strict=False)):
            if x == y:
                continue
            if x.isalpha() and y.isalpha():
                return x < y
            if x.isalpha() or y.isalpha():
                behind_digit = at > 0 and a[at - 1].isdigit()
                return x.isalpha() if behind_digit else y.isalpha()
            (run_a, number_a), (run_b, number_b) = _digits(a, at, y), _digits(b, at, x)
            if number_a != number_b:
                return number_a < number_b
            return run_a < run_b if run_a != run_b else x < y
        return len(a) < len(b)


def _digits(text: str, at: int, other: str) -> tuple[int, int]:
    """(length, value) of the digits from `at` on; one with a zero there counts as part of what is before it."""
    run = re.compile(r"\d*").match(text, at)
    assert run is not None
    lead = "0"
    if "0" in (text[at], other):
        before = re.search(r"\d*$", text[:at])
        lead = "1" if before and before[0].strip("0") else "0"
    return len(run[0]), int(lead + run[0])
