"""The line of a row, said once: a text with the row's fields in it, and parts that are there now and then.

    LINE = Template(
        Row,
        "{protocol} {source:[go]}:{source_port} Flags={flags:#06x}",
        When("related", " related"),
        Each("flag_names", " {}"),
    )

Formats of a field: none for numbers and words, Python's for hexadecimal numbers with leading zeros, and for addresses
`ip`, `go` (an IPv4-mapped one as IPv4) and `[go]` (IPv6 in brackets); `prefix` for prefixes, `mac` for MAC addresses.
`{flags&12}` has only those bits.
A template called with a row gives its line; cilium_py.render.steps makes steps for the kernel of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, Union

from cilium_py.schema.rowtype import field_names
from cilium_py.schema.text import go_ip, ip, mac, prefix

R = TypeVar("R", bound=tuple[Any, ...])
REFERENCE = re.compile(r"\{([a-z_0-9]+)(?:&([0-9]+))?(?::([^}]+))?\}")


class Shown(NamedTuple):
    """A field of the row in a text, and its format."""

    name: str
    format: str = ""
    mask: int | None = None


class When:
    """Parts that are there if a field of the row is neither None nor False, or with `bits` if one of them is set."""

    def __init__(self, name: str, *parts: Part, bits: int = 0, otherwise: Part = "") -> None:
        self.name = name
        self.bits = bits
        self.parts = parts
        self.otherwise = otherwise


class Each(NamedTuple):
    """A text for each item of a field that is a list: `{}` is the item. Without items, another text."""

    name: str
    text: str
    between: str = ""
    none: str = ""


class Instead(NamedTuple):
    """Other words for those that a field may have."""

    name: str
    words: Mapping[str, str]


class Unless:
    """Rows that are shown: those whose field is not this word."""

    def __init__(self, name: str, word: str) -> None:
        self.name = name
        self.word = word

    def __call__(self, row: Any) -> bool:
        return bool(getattr(row, self.name) != self.word)


Part: TypeAlias = Union[str, When, Each, Instead]  # noqa: UP007


def split(text: str) -> Iterator[str | Shown]:
    """The plain texts and references of a text."""
    at = 0
    for found in REFERENCE.finditer(text):
        if found.start() > at:
            yield text[at : found.start()]
        yield Shown(found[1], found[3] or "", int(found[2]) if found[2] else None)
        at = found.end()
    if at < len(text):
        yield text[at:]


class Template(Generic[R]):
    """Makes a line of a row, without the newline."""

    def __init__(self, row: type[R], *parts: Part) -> None:
        self.row = row
        self.parts = parts

    def __call__(self, row: R) -> str:
        return self.function(row)

    @cached_property
    def function(self) -> Callable[[R], str]:
        writer = _Writer(field_names(self.row))
        made: Callable[[R], str] = eval(f"lambda r: {writer.parts(self.parts)}", writer.known)
        return made


class Cells(Generic[R]):
    """Makes the cells of a table's line of a row: a template each."""

    def __init__(self, *templates: Template[R]) -> None:
        self.templates = templates

    def __call__(self, row: R) -> tuple[str, ...]:
        return tuple([template(row) for template in self.templates])


def bracketed(packed: bytes) -> str:
    """[fd00::1] or 10.0.0.1."""
    return f"[{go_ip(packed)}]" if len(packed) == 16 else ip(packed)


FORMATS: dict[str, Callable[[Any], str]] = {
    "ip": ip, "go": go_ip, "[go]": bracketed, "prefix": prefix, "mac": mac,
}  # fmt: skip
CALLED = {format: f"f{number}" for number, format in enumerate(FORMATS)}


class _Writer:
    """A template as Python source: f-strings end to end."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.known: dict[str, Any] = {CALLED[format]: function for format, function in FORMATS.items()}

    def parts(self, parts: tuple[Part, ...]) -> str:
        return " + ".join(map(self.part, parts)) or "''"

    def part(self, part: Part) -> str:
        match part:
            case str():
                return "f" + repr("".join(map(self.piece, split(part))))
            case When():
                return f"({self.parts(part.parts)} if {self.test(part)} else {self.part(part.otherwise)})"
            case Each(name, text, between, none):
                before, after = text.split("{}")
                read, joint = self.read(name), after + between + before
                return f"({before!r} + {joint!r}.join({read}) + {after!r} if {read} else {none!r})"
            case Instead(name, words):
                return f"{dict(words)!r}[{self.read(name)}]"

    def test(self, part: When) -> str:
        read = self.read(part.name)
        return f"({read} or 0) & {part.bits}" if part.bits else f"{read} is not None and {read} is not False"

    def piece(self, piece: str | Shown) -> str:
        if isinstance(piece, str):
            return piece.replace("{", "{{").replace("}", "}}")
        read = self.read(piece.name)
        if piece.mask is not None:
            read = f"({read} & {piece.mask})"
        if piece.format in CALLED:
            return f"{{{CALLED[piece.format]}({read})}}"
        return f"{{{read}:{piece.format}}}" if piece.format else f"{{{read}}}"

    def read(self, name: str) -> str:
        return f"r[{self.fields.index(name)}]"
