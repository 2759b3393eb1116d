"""What a map file declares: its layouts, how an entry becomes a row, and the words of its command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from cilium_py.schema.derived import Derived
from cilium_py.schema.fields import u32
from cilium_py.schema.form import Field
from cilium_py.schema.golang import GoList, GoTable
from cilium_py.schema.kind import Kind
from cilium_py.schema.struct import Struct, layout

R = TypeVar("R", bound=tuple[Any, ...])
K = TypeVar("K", bound=Struct)
V = TypeVar("V", bound=Struct)

Address: TypeAlias = Annotated[bytes, "address"]
"""A row field: a packed IPv4 or IPv6 address, rendered as text."""
Prefix: TypeAlias = Annotated[tuple[bytes, int], "prefix"]
"""A row field: a packed address and a prefix length, rendered as 10.0.0.0/8."""
Mac: TypeAlias = Annotated[bytes, "mac"]
"""A row field: a MAC address (six bytes, or eight with padding), rendered as text."""


@layout(size=4)
class InnerMap(Struct):
    """The value of a map of maps. `decode` gets the inner map's entries in its place: a list of (bytes, bytes)."""

    id: u32


@dataclass(frozen=True)
class Layout(Generic[R]):
    """One shape that the entries of a map have had.

    `decode` takes the key and the value; of a per-CPU map, the value is the sum over all CPUs.
    `release` is the first Cilium release with this layout, and what `--layout` takes.
    """

    release: str
    key: type[Struct]
    value: type[Struct]
    decode: Callable[[Any, Any], R]  # (K, V) of this layout: the pair differs from layout to layout
    kind: Kind = Kind.HASH


@dataclass(frozen=True)
class Source(Generic[R]):
    """A pin and the layouts it may have, newest first. `{}` in the pin stands for the scope: an endpoint, a cluster."""

    pin: str
    layouts: tuple[Layout[R], ...]
    replaces: str = ""
    """The pin of an older release that a node in transition fills too: passed over where this one is there."""
    assumed: str | None = ""
    """The release assumed where several layouts have the map's sizes and it has no BTF to tell them apart: "" the
    newest, because it reads the older ones right; None refuses and asks for --layout."""

    family: int = 0
    """4 or 6: cilium-dbg passes over this map where the agent's options switch that off."""

    def layout(self, release: str) -> Layout[R]:
        return next(layout for layout in self.layouts if layout.release == release)

    def pin_of(self, scope: int | str | None = None) -> str:
        return self.pin if scope is None else self.pin.format(scope)


@dataclass(frozen=True)
class Table(Generic[R]):
    """Text in aligned columns: the titles, and the cells of a row."""

    titles: tuple[str, ...]
    cells: Callable[[R], Sequence[str]]
    padded: str = "rows"
    """Whose last cell is padded too: "rows", "all" (the titles as well) or "none"."""
    titles_when_empty: bool = True


@dataclass(frozen=True)
class Line(Generic[R]):
    """Text of one line a row, without the newline."""

    line: Callable[[R], str]
    shown: Callable[[R], bool] | None = None
    """Rows that have no line are in the machine formats all the same."""


@dataclass(frozen=True)
class Word:
    """An argument of a command; `parse` raises WrongUsage, `sample` is what examples have in its place."""

    name: str
    parse: Callable[[str], Any]
    sample: str


@dataclass(frozen=True)
class MapDef(Generic[R]):
    """A family of maps that one command shows.

    `key` and `value` name the words that `get`, `update` and `delete` take; `make_key` turns the parsed words into
    (pin, key fields) and `make_value` into value fields, both host order, for the layout that the live map has.
    """

    command: tuple[str, ...]
    summary: str
    row: type[R]
    text: Table[R] | Line[R]
    sources: tuple[Source[R], ...]
    scoped: tuple[Source[R], ...] = ()
    """Sources of one scope, such as a cluster, that its command lists by the name of that."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of its verbs."""
    order: Callable[[R], Any] | None = None
    """Sort key of the text and machine forms; None keeps the order of the map, which streams."""
    key_order: tuple[Field, ...] = ()
    """Fields of the key by which each map's entries come in `order`: to sort entries before they are decoded."""
    keep: Callable[[R], bool] | None = None
    """Which rows are entries, in a map (an array) where not every one is."""
    key: tuple[Word, ...] = ()
    make_key: Callable[..., tuple[str, dict[str, int | bytes]]] | None = None
    value: tuple[Word, ...] = ()
    make_value: Callable[..., dict[str, int | bytes]] | None = None
    can_flush: bool = False
    compat: GoTable[R] | GoList[R] | None = None
    """How cilium-dbg shapes its output; None for a map that it has no command for."""
    note: str = ""
    """Further lines of the command's help: what is shown, and an example of it."""
    derived: tuple[Derived, ...] = ()
    """Fields to select and sort by that are not in the row, because they follow from it and the time."""

    def source(self, pin: str) -> Source[R]:
        return next(source for source in self.sources if source.pin == pin)

    @property
    def can_delete(self) -> bool:
        """Whether some map of the family can lose an element."""
        return any(layout.kind.can_delete for source in self.sources for layout in source.layouts)

    def releases(self) -> list[str]:
        """Every name that --layout takes, newest first."""
        names: Iterable[str] = (layout.release for source in self.sources for layout in source.layouts)
        return list(dict.fromkeys(names))
