"""Go values as yaml.v3 writes them: four spaces, its quoting, map keys in natural order.

The fields of a struct are in lower case; an embedded struct is a field like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, cached_property, lru_cache
from types import NoneType
from typing import Any

from cilium_py.render.bytype import ByType
from cilium_py.schema.golang import GoStruct, GoType, Hole, Time

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

NUMERIC_FIRST, LONGEST_WORD = frozenset("+-.0123456789"), len("false")
"""What a number begins with, and how long a word that is none can be."""

INDICATOR_FIRST = set("#,[]{}&*!|>'\"%@`")
ESCAPES = {
    "\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r",
    "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N",
}  # fmt: skip

DIGITS = re.compile(r"([0-9]+)")
LETTER_BEHIND_DIGIT, OTHER, NUMBER_RANK, LETTER = "\1\2\3\4"
"""What a character of a key is, in the order that keys have."""


def document(value: Any, indent: int = 0) -> str:
    """The whole text of a value so far indented, with the newline at its end."""
    if isinstance(value, str):
        return _string(value) + "\n"
    return _depth(indent)(value)[1:] + "\n"


class _Depth:
    """How values are written that stand, where they take lines, so far indented. Each begins with what divides it
    from the name before it: a newline, or a space.

    Of each struct type, its text with places for the fields is made once.
    """

    def __init__(self, indent: int) -> None:
        self.indent = indent
        self.line = "\n" + " " * indent
        self.types: dict[GoType, str] = {}
        self.kinds = ByType({
            object: lambda value: f" {_string(str(value))}",
            str: self.text,
            Time: lambda text: f" {text}",
            bool: lambda value: " true" if value else " false",
            int: lambda number: f" {int.__repr__(number)}",
            NoneType: lambda _: " null",
            Hole: lambda mark: f" {mark}",
            bytes: lambda data: self.listed(f" {octet}" for octet in data),
            list: self.listing,
            tuple: self.listing,
            dict: self.mapping,
            GoStruct: self.struct,
        })  # fmt: skip

    def __call__(self, value: Any) -> str:
        return self.kinds[type(value)](value)

    def listing(self, values: Iterable[Any]) -> str:
        """What takes lines begins on that of its dash."""
        within = _depth(self.indent + 2)
        texts = map(within, values)
        return self.listed(f" {text[len(within.line) :]}" if text[0] == "\n" else text for text in texts)

    def listed(self, texts: Iterable[str]) -> str:
        return "".join([f"{self.line}-{text}" for text in texts]) or " []"

    def mapping(self, value: dict[Any, Any]) -> str:
        within, members = self.within, {str(key): member for key, member in value.items()}
        names = sorted(members, key=natural) if len(members) > 1 else members
        texts = [f"{self.line}{_string(name)}:{within(members[name])}" for name in names]
        return "".join(texts) or " {}"

    def struct(self, struct: GoStruct) -> str:
        if struct.type not in self.types:
            names = [_string(field.name.lower()).replace("%", "%%") for field in struct.type.fields]
            self.types[struct.type] = "".join(f"{self.line}{name}:%s" for name in names) or " {}"
        kinds = self.within.kinds
        return self.types[struct.type] % tuple([kinds[type(value)](value) for value in struct.values])

    @cached_property
    def within(self) -> _Depth:
        """The next depth: the next multiple of four, also from within a list item, which is indented by two."""
        return _depth((self.indent // INDENT + 1) * INDENT)

    def text(self, text: str) -> str:
        if "\n" not in text or not _literal_allowed(text):
            return f" {_string(text)}"
        chomp = "+" if text == "\n" or text.endswith("\n\n") else "" if text.endswith("\n") else "-"
        hint = str(INDENT) if text[0] in " \n" else ""
        lines = text.removeprefix("\n").removesuffix("\n").split("\n") if text != "\n" else []
        return "".join([f" |{hint}{chomp}", *(self.line + line if line else "\n" for line in lines)])


_depth = cache(_Depth)


def _literal_allowed(text: str) -> bool:
    """No special characters, and no space that the end of a line would hide."""
    return all(c in "\n\t" or _is_printable(c) for c in text) and not re.search(r" (\n|$)", text)


def _is_printable(character: str) -> bool:
    """What yaml.v3 writes as it is: no control characters, and none beyond the first plane."""
    return " " <= character <= "~" or ("\xa0" <= character <= "\ufffd" and character != "\ufeff")


def _string(text: str) -> str:
    """A string on one line: plain where it can be, else in single quotes, else in double quotes."""
    if _reads_as_something_else(text):
        return f'"{text}"'
    if not (text.isascii() and text.isprintable()) and any(not _is_printable(c) for c in text):
        return '"' + "".join(_escaped(c) for c in text) + '"'
    if _needs_quotes(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def _reads_as_something_else(text: str) -> bool:
    """Whether a plain scalar would be read back as a number, a boolean, a time or nothing."""
    is_numeric = text[:1] in NUMERIC_FIRST
    if not is_numeric and len(text) > LONGEST_WORD:
        return False
    return bool(WORD.fullmatch(text) or (is_numeric and NUMBER.fullmatch(text.replace("_", ""))))


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


def natural(text: str) -> str:
    """What map keys are sorted by: runs of digits by value, letters after everything else unless behind a digit."""
    first, *runs = DIGITS.split(text)
    return "".join([_rank(first), *map(_rank_behind_digit, runs)])


@lru_cache(4096)
def _rank(text: str) -> str:
    """Of what is not behind a digit: each character with its class before it."""
    return "".join(f"{LETTER if c.isalpha() else OTHER}{c}" for c in text)


@lru_cache(4096)
def _rank_behind_digit(run: str) -> str:
    """Of a run of digits its length and value without leading zeros, then how many those are; of others, as above."""
    if not run.isdigit():
        return (LETTER_BEHIND_DIGIT + run[0] if run[:1].isalpha() else _rank(run[:1])) + _rank(run[1:])
    value = run.lstrip("0")
    return f"{NUMBER_RANK}{chr(len(value))}{value}{chr(len(run) - len(value))}"
