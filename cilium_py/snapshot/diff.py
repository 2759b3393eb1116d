"""What two places of pins have different: entries that came, went or changed, map by map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from operator import itemgetter
from typing import Any, NamedTuple

from cilium_py.bpf.directory import Pins
from cilium_py.bpf.map import BpfMap
from cilium_py.errors import CiliumPyError
from cilium_py.families import family_of
from cilium_py.render.tabular import text_lines
from cilium_py.render.values import as_object
from cilium_py.schema import Layout, MapDef
from cilium_py.table import choose, total

from .save import OF_MAPS, READABLE


class Change(NamedTuple):
    """An entry that is not the same. `before` and `after` are rows, or hexadecimal values of an unknown map."""

    map: str
    """Its pin; or endpoints, identities, nodes or rules."""
    change: str
    """added, removed or changed; of a map as a whole, map added, map removed or reshaped."""
    entry: str
    """The text of its row as it is, or was."""
    key: str
    """Hexadecimal."""
    fields: list[str]
    """Of a changed entry, the fields that are not the same."""
    before: Any = None
    after: Any = None


class Count(NamedTuple):
    """How many entries of a map came, went and changed."""

    map: str
    """As above."""
    before: int | None
    """None where there was no such map; so is `after`."""
    after: int | None
    added: int
    removed: int
    changed: int


def changes(before: Pins, after: Pins, only: Collection[str] = ()) -> Iterator[Change]:
    """Every difference, by map; of a map, in the order of its keys. One map of each side is held at a time."""
    old, new = set(before.names()), set(after.names())
    for pin in sorted((old | new) if not only else (old | new) & set(only)):
        if pin not in old or pin not in new:
            yield Change(pin, "map added" if pin in new else "map removed", "", "", [])
            continue
        with before.open(pin) as first, after.open(pin) as second:
            if first.info.type in READABLE and second.info.type in READABLE:
                yield from _of_map(pin, first, second, before, after)


def counts(before: Pins, after: Pins, only: Collection[str] = ()) -> Iterator[Count]:
    """The number of differences of each map that a side has entries of."""
    old, new = set(before.names()), set(after.names())
    for pin in sorted((old | new) if not only else (old | new) & set(only)):
        with ExitStack() as stack:
            first = stack.enter_context(before.open(pin)) if pin in old else None
            second = stack.enter_context(after.open(pin)) if pin in new else None
            found = Counter[str]()
            for _, was, now in differences(first, second, found):
                found["added" if was is None else "removed" if now is None else "changed"] += 1
        sizes = (found["before"] if first is not None else None), (found["after"] if second is not None else None)
        yield Count(pin, *sizes, found["added"], found["removed"], found["changed"])


def differences(
    first: BpfMap | None, second: BpfMap | None, sizes: Counter[str]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:  # fmt: skip
    """Key, old and new value of every entry that is not the same. The first map is held, the second read through."""
    old = dict(contents(first)) if first is not None else {}
    sizes["before"] = len(old)
    for key, now in contents(second) if second is not None else ():
        sizes["after"] += 1
        was = old.pop(key, None)
        if was != now:
            yield key, was, now
    for key, was in old.items():
        yield key, was, None


def contents(opened: BpfMap) -> Iterator[tuple[bytes, bytes]]:
    """Key and value; of a map of maps the inner entries, as the ids of inner maps say nothing."""
    if opened.info.type not in OF_MAPS:
        yield from opened.entries() if opened.info.type in READABLE else ()
        return
    for key, value in opened.entries():
        try:
            with opened.held(int.from_bytes(value, "little")) as inner:
                yield key, b"".join(sorted(k + v for k, v in inner.entries()))
        except FileNotFoundError:
            yield key, b""


def _of_map(pin: str, first: BpfMap, second: BpfMap, before: Pins, after: Pins) -> Iterator[Change]:
    sizes = [(side.info.key_size, side.info.value_size) for side in (first, second)]
    if sizes[0] != sizes[1]:
        yield Change(pin, "reshaped", f"{sizes[0][0]}/{sizes[0][1]} bytes -> {sizes[1][0]}/{sizes[1][1]}", "", [])
        return
    readers = _Reader.of(pin, first, before), _Reader.of(pin, second, after)
    found = sorted(differences(first, second, Counter()), key=itemgetter(0))
    for key, was, now in found:
        yield _change(pin, key, readers[0].row(key, was), readers[1].row(key, now), readers[1])


def _change(pin: str, key: bytes, was: Any, now: Any, reader: _Reader) -> Change:
    text = reader.text(key, now if now is not None else was)
    if was is None or now is None:
        kind = "added" if was is None else "removed"
        return Change(pin, kind, text, key.hex(), [], _plain(was), _plain(now))
    first, second = _plain(was), _plain(now)
    named = isinstance(first, dict) and isinstance(second, dict)
    fields = [name for name in second if first.get(name) != second[name]] if named else ["value"]
    return Change(pin, "changed", text, key.hex(), fields, first, second)


class _Reader(NamedTuple):
    """How entries of a map become rows and text; without a definition they stay bytes."""

    definition: MapDef[Any] | None
    layout: Layout[Any] | None
    per_cpu: bool

    @classmethod
    def of(cls, pin: str, opened: BpfMap, pins: Pins) -> _Reader:
        found = family_of(pin)
        if found is None or opened.info.type in OF_MAPS:
            return cls(None, None, opened.per_cpu)
        try:
            layout = choose(found[1], opened, pins.path(pin), opened.release)
        except CiliumPyError:
            return cls(None, None, opened.per_cpu)
        return cls(found[0], layout, opened.per_cpu)

    def row(self, key: bytes, value: bytes | None) -> Any:
        if value is None or self.layout is None:
            return value
        kind = self.layout.value
        return self.layout.decode(
            self.layout.key.unpack(key), total(kind, value) if self.per_cpu else kind.unpack(value)
        )

    def text(self, key: bytes, row: Any) -> str:
        if self.definition is None:
            return key.hex(" ")
        *_, last = ["", *text_lines(self.definition.text, [row])]
        return " ".join(last.split())


def _plain(row: Any) -> Any:
    """A row as the machine formats have it; bytes as hexadecimal."""
    if row is None:
        return None
    return row.hex() if isinstance(row, bytes) else as_object(row)
