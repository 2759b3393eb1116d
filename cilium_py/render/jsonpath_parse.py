"""The grammar of jsonpath templates: text with {actions}, an action a path of nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from cilium_py.errors import WrongUsage

TERMINATORS = " \t\r\n.,[]$@{}"
SLICE = re.compile(r"(-?\d{1,19})?(:(?:-?\d{1,19})?)?(:(?:-?\d{1,19})?)?")
COMPARISON = re.compile(r"([^!<>=]+)([!<>=~]+)(.+)", re.DOTALL)
ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))")
SHORT_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Field:
    name: str


@dataclass(frozen=True)
class Wildcard:
    pass


@dataclass(frozen=True)
class Recursive:
    pass


@dataclass(frozen=True)
class Slice:
    start: int | None
    end: int | None
    step: int | None
    single: bool = False
    """One index, not a range: `end` is the one behind it."""

    @property
    def is_whole(self) -> bool:
        return self.start is self.end is self.step is None


@dataclass(frozen=True)
class Union:
    branches: list[list[Node]]


@dataclass(frozen=True)
class Filter:
    left: list[Node]
    operator: str
    """Empty: whether `left` is there at all."""
    right: list[Node]


@dataclass(frozen=True)
class Quoted:
    text: str


@dataclass(frozen=True)
class Constant:
    value: int | float | bool


@dataclass(frozen=True)
class Word:
    """range, end, or something that is neither."""

    name: str


Node: TypeAlias = Field | Wildcard | Recursive | Slice | Union | Filter | Quoted | Constant | Word


@dataclass(frozen=True)
class Action:
    """A path whose results are shown, or gone through from {range} to {end}."""

    word: str
    """range, end or nothing."""
    path: list[Node]


Steps: TypeAlias = list[str | Action]


def parse(template: str) -> Steps:
    """A template as texts and actions in order. Raises WrongUsage that says what is wrong."""
    steps: Steps = []
    at = 0
    while at < len(template):
        brace = template.find("{", at)
        if brace != at:
            end = len(template) if brace < 0 else brace
            steps.append(template[at:end])
            at = end
            continue
        reader = _Action(template, at + 1)
        steps.append(_step(reader.nodes()))
        at = reader.at
    return steps


def _step(nodes: list[Node]) -> str | Action:
    match nodes:
        case [Quoted(text)]:
            return text
        case [Word("range" | "end" as word), *path]:
            return Action(word, path)
    return Action("", nodes)


def _action(text: str) -> list[Node]:
    """The nodes of an expression within an action."""
    return _Action(text + "}", 0).nodes()


class _Action:
    """Reads one action, from behind its brace to behind the closing one."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at

    def nodes(self) -> list[Node]:
        nodes: list[Node] = []
        while True:
            rest = self.text[self.at : self.at + 3]
            character = rest[:1]
            if not rest or character in "\r\n":
                raise _wrong("an action has no closing }")
            if character == "}":
                self.at += 1
                return nodes
            if rest == "[?(":
                nodes.append(self._filter())
            elif rest.startswith(".."):
                if nodes and isinstance(nodes[-1], Recursive):
                    raise _wrong(".. twice in a row")
                self.at += 2
                nodes.append(Recursive())
                if self._peek().isalnum() or self._peek() == "_":
                    nodes.append(self._field())
            elif character in " @$":
                self.at += 1
            elif character == "[":
                nodes += self._brackets()
            elif character in "\"'":
                nodes.append(self._quoted(character))
            elif character == ".":
                self.at += 1
                nodes.append(self._field())
            elif character in "+-" or character.isdigit():
                nodes.append(self._number())
            elif character.isalnum() or character == "_":
                nodes.append(self._word())
            else:
                raise _wrong(f"unexpected {character!r} in an action")

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _until(self, stop: str, what: str) -> str:
        """The text up to `stop`, which is passed; a line must not end before."""
        end = self.text.find(stop, self.at)
        found = self.text[self.at : end]
        if end < 0 or "\n" in found:
            raise _wrong(what)
        self.at = end + len(stop)
        return found

    def _field(self) -> Node:
        start = self.at
        while self._peek() and self._peek() not in TERMINATORS:
            self.at += 2 if self._peek() == "\\" else 1
        name = self.text[start : self.at]
        return Wildcard() if name == "*" else Field(name.replace("\\", ""))

    def _word(self) -> Node:
        start = self.at
        while self._peek() and self._peek() not in TERMINATORS:
            self.at += 1
        name = self.text[start : self.at]
        return Constant(name == "true") if name in ("true", "false") else Word(name)

    def _number(self) -> Node:
        found = re.compile(r"[+-]?[\d.]*").match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        for convert in (int, float):
            try:
                return Constant(convert(found[0]))
            except ValueError:
                continue
        raise _wrong(f"{found[0]!r} is no number")

    def _quoted(self, quote: str) -> Node:
        start = self.at + 1
        self.at = start
        while True:
            self._until(quote, f"a quoted string without its closing {quote}")
            if self.text[self.at - 2] != "\\":
                return Quoted(_unescaped(self.text[start : self.at - 1]))

    def _brackets(self) -> list[Node]:
        self.at += 1
        text = self._until("]", "a [ without its ]")
        if text == "*":
            text = ":"
        branches = text.split(",")
        if len(branches) > 1:
            return [Union([_action(f"[{branch.strip(' ')}]") for branch in branches])]
        if re.fullmatch(r"'[^']*'", text):
            return _action(f".{text[1:-1]}")
        found = SLICE.fullmatch(text)
        if not found:
            raise _wrong(f"[{text}] is neither an index, a slice nor a quoted name")
        start, end, step = (None if p is None or p.strip(":") == "" else int(p.strip(":")) for p in found.groups())
        single = found[2] is None
        return [Slice(start, (start or 0) + 1 if single else end, step, single)]

    def _filter(self) -> Node:
        self.at += 3
        start, quote, closed = self.at, "", False
        while True:
            character = self._peek()
            self.at += 1
            if character in ("", "\n"):
                raise _wrong("a filter without its )]")
            if character in "\"'" and not quote:
                quote = character
            elif character == quote and self.text[self.at - 2] != "\\":
                closed = True
            elif character == ")" and bool(quote) == closed:
                break
        text = self.text[start : self.at - 1]
        if self._peek() != "]":
            raise _wrong("a filter without its )]")
        self.at += 1
        found = COMPARISON.fullmatch(text)
        if not found:
            return Filter(_action(text), "", [])
        return Filter(_action(found[1]), found[2], _action(found[3]))


def _unescaped(text: str) -> str:
    def character(escape: re.Match[str]) -> str:
        short, *codes, unknown = escape.groups()
        if unknown is not None:
            raise _wrong(f"no escape \\{unknown} in a quoted string")
        if short is not None:
            return SHORT_ESCAPES.get(short, short)
        value = next(int(code, base) for code, base in zip(codes, (16, 16, 16, 8), strict=True) if code)
        if value > 0x10FFFF:
            raise _wrong(f"no character has the number {value:#x}")
        return chr(value)

    return ESCAPE.sub(character, text)


def _wrong(what: str) -> WrongUsage:
    return WrongUsage(f"jsonpath: {what}", "a template is text with {.paths} in braces")
