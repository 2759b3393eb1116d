"""What came, went and changed in tables between two looks at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from cilium_py.schema import InnerMap
from cilium_py.schema.rowtype import field_names
from cilium_py.select.looks import Difference, Look
from cilium_py.table import OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
COUNTERS = frozenset({
    "packets", "bytes", "expires", "expires_ns", "remaining", "age", "last_rx_report", "last_tx_report", "last_used_ns",
    "last_topup_ns", "tokens",
})  # fmt: skip
"""Fields that change with every packet."""


class Change(NamedTuple, Generic[R]):
    """`event` is new, gone or changed; `before` are the values that changed fields had."""

    event: str
    row: R
    before: dict[str, Any]


class Watched(Generic[R]):
    """Remembers tables as they were at the last look: the bytes of each entry that is selected."""

    def __init__(self, ignored: Iterable[str] = ()) -> None:
        self._ignored = frozenset(ignored)
        self._known: dict[str, tuple[OpenTable[R], Look]] = {}
        """Of each pin the table, which may be closed by now."""
        self._has_looked = False

    def look(self, tables: Iterable[OpenTable[R]]) -> Iterator[Change[R]]:
        """What is different from the last look; nothing is at the first one."""
        before, self._known = self._known, {}
        for table in tables:
            name = table.path.name
            look = Look(before.pop(name)[1] if name in before else Look() if self._has_looked else None)
            for batch in table.batches():
                yield from self._changes(table, look.see(batch))
            yield from self._changes(table, look.end())
            self._known[name] = table, look
        for table, last in before.values():
            yield from self._changes(table, Look(last).end())
        self._has_looked = True

    def _changes(self, table: OpenTable[R], differences: Iterable[Difference]) -> Iterator[Change[R]]:
        for key, before, now in differences:
            if before is None or now is None:
                row = _row(table, key, now or before or b"")
                yield Change("gone" if now is None else "new", row, {})
                continue
            row = _row(table, key, now)
            changed = _differences(_row(table, key, before), row, self._ignored)
            if changed:
                yield Change("changed", row, changed)


def row_changes(before: Mapping[Any, R], after: Mapping[Any, R]) -> Iterator[Change[R]]:
    """What is different between rows by what tells them apart."""
    for key, row in after.items():
        changed = _differences(before[key], row) if key in before else {}
        if changed or key not in before:
            yield Change("changed" if changed else "new", row, changed)
    for key in before.keys() - after.keys():
        yield Change("gone", before[key], {})


def _differences(before: R, row: R, ignored: Collection[str] = ()) -> dict[str, Any]:
    names = field_names(type(row))
    pairs = zip(names, before, row, strict=True)
    return {name: old for name, old, new in pairs if old != new and name not in ignored}


def _row(table: OpenTable[R], key: bytes, value: bytes) -> R:
    from cilium_py.bpf.batch import Batch

    layout = table.layout
    if layout.value is InnerMap:
        return layout.decode(layout.key.unpack(key), [])
    pairs = table.pairs_of(Batch(memoryview(key), memoryview(value), 1))
    return layout.decode(*next(pairs))
