"""The words for what cilium-dbg prints with --compat: Go values, and how a command makes its output of them.

A map file says in `MapDef.compat` which of two shapes its command of cilium-dbg has:

    compat=GoTable(("IP PREFIX/ADDRESS", "IDENTITY"), lambda e: (prefix(e.row), said(e.row)))    # map[string][]string
    compat=GoList(lambda e: RECORD(KEY(*e.key), VALUE(*e.value)))                               # a slice of structs

Both are given a Pair, which has the Structs of key and value and the Row made of them. A Struct is a tuple of its
fields as they lie in memory (little-endian), which is what cilium-dbg puts in its JSON: `KEY(*e.key)` with

    KEY = GoType("DestAddr", "SourceAddr", "DestPort", "SourcePort", "NextHeader", "Flags")

needs no conversion. JSON, YAML and jsonpath all follow from these values as encoding/json, yaml.v3 and client-go's
jsonpath would print them (cilium_py.render.compat). A command that joins maps builds its document by hand from the
same values and hands it to `cilium_py.render.compat.write_document`.

Python values stand for themselves: int, bool, str, None (nil), bytes (a [N]byte array), list (slice), dict (map).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from cilium_py.schema.mapdef import Line, Table

R = TypeVar("R", bound=tuple[Any, ...])


class Pair(NamedTuple):
    """One entry of a map: the Structs of its key and value, and the Row made of them."""

    key: Any
    value: Any
    row: Any


class Named(int):
    """An integer whose Go type has a String method: a number in JSON and YAML, its text elsewhere."""

    text: str

    def __new__(cls, value: int, text: str) -> Named:
        number = super().__new__(cls, value)
        number.text = text
        return number


class Marshaled(str):
    """A Go struct that marshals as text (netip.Prefix, time.Time): a string, which jsonpath prints in quotes."""

    __slots__ = ()


class Time(Marshaled):
    """A Go time.Time in RFC 3339, which YAML has without quotes."""

    __slots__ = ()


class Blob(bytes):
    """A Go []byte: base64 in JSON. (Plain bytes are a [N]byte: a list of numbers.)"""

    __slots__ = ()


class Nil(list[Any]):
    """A Go slice that is nil: null in JSON, like an empty one everywhere else."""

    __slots__ = ()


class Hole(str):
    """A place for a value that comes later: a mark, written as it is in every format."""

    __slots__ = ()


class GoField(NamedTuple):
    """A field of a Go struct; `json` is the name in its tag. An embedded struct is dissolved in JSON."""

    name: str
    json: str = ""
    embedded: bool = False


class GoType:
    """A Go struct type: call it with the values of its fields, in order. A string is a field without a tag."""

    def __init__(self, *fields: str | GoField) -> None:
        self.fields = tuple(GoField(f) if isinstance(f, str) else f for f in fields)

    def __call__(self, *values: Any, text: Callable[[], str] | None = None, reference: str = "") -> GoStruct:
        if len(values) != len(self.fields):
            raise TypeError(f"{len(self.fields)} fields, {len(values)} values")
        return GoStruct(self, values, text, reference)


@dataclass(slots=True)
class GoStruct:
    """A value of a Go struct type."""

    type: GoType
    values: tuple[Any, ...]
    text: Callable[[], str] | None = None
    """Its String method."""
    reference: str = ""
    """How its holder refers to it: "" by value, "pointer", or "interface" (one with methods: jsonpath stays out)."""


@dataclass(frozen=True)
class GoTable(Generic[R]):
    """A command built on a map[string][]string: two aligned columns as text, an object of lists as JSON and YAML."""

    titles: tuple[str, str]
    entry: Callable[[Pair], tuple[str, str]]
    """The key's text and the value's; a key that comes twice has both values."""
    titles_when_empty: bool = False
    text: Table[R] | None = None
    """A table of the rows, sorted by their texts, in place of the two columns."""
    empty_without_map: bool = False
    """Maps that are not pinned print like empty ones."""
    empty_if_of_other_size: bool = False
    """A map whose keys or values have a size that is not known prints like an empty one."""


@dataclass(frozen=True)
class GoList(Generic[R]):
    """A command built on a slice of structs: a list as JSON and YAML, text lines from the rows."""

    item: Callable[[Pair], Any]
    is_stored: bool = False
    """`item` puts the fields of key and value, as they lie in memory, into their places and looks at none."""
    merge: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """What is done with all items before they are written as JSON, YAML or by jsonpath."""
    text: Table[R] | Line[R] | None = None
    """The text of the rows where it differs from the definition's own."""
    order: Callable[[R], Any] | None = field(default=None)
    """Sort key of the rows in text; None keeps the order of the map."""
    arranged: Callable[[Iterable[Pair]], Iterable[Pair]] | None = None
    """Which entries of a map, in what order, in every format; None for all, as they come."""
    nil_when_empty: bool = False
    """An empty JSON list is null."""
    silent_when_empty: bool = False
    """Without an entry nothing is printed at all, in no format."""
    document_per_map: bool = False
    """Each map has its own JSON document."""
    empty_without_map: bool = False
    """Maps that are not pinned print like empty ones."""
    empty_if_of_other_size: bool = False
    """A map whose keys or values have a size that is not known prints like an empty one."""
    blank_line_after_map: bool = False
    """In text, an empty line follows the lines of each map."""


def int64(number: int) -> int:
    """What is left of a number in 64 bits with a sign."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def words(texts: Sequence[str]) -> str:
    """How Go prints a slice: [a b c]."""
    return f"[{' '.join(texts)}]"
