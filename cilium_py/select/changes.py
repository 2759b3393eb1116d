"""What came, went and changed in tables between two looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from cilium_py.schema import InnerMap
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
        self._known: dict[str, dict[bytes, bytes]] = {}

    def look(self, tables: Iterable[OpenTable[R]]) -> Iterator[Change[R]]:
        """What is different from the last look; at the first one, everything is new."""
        for table in tables:
            yield from self._look(table, self._known.setdefault(table.path.name, {}))

    def _look(self, table: OpenTable[R], known: dict[bytes, bytes]) -> Iterator[Change[R]]:
        present: set[bytes] = set()
        for batch in table.batches():
            for key, value in batch.pairs():
                present.add(key)
                before = known.get(key)
                if before == value:
                    continue
                known[key] = value
                row = _row(table, key, value)
                if before is None:
                    yield Change("new", row, {})
                    continue
                changed = self._differences(_row(table, key, before), row)
                if changed:
                    yield Change("changed", row, changed)
        if len(present) < len(known):
            for key in known.keys() - present:
                yield Change("gone", _row(table, key, known.pop(key)), {})

    def _differences(self, before: R, row: R) -> dict[str, Any]:
        names: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # NamedTuple
        return {
            name: old
            for name, old, new in zip(names, before, row, strict=True)
            if old != new and name not in self._ignored
        }


def _row(table: OpenTable[R], key: bytes, value: bytes) -> R:
    from cilium_py.bpf.batch import Batch

    layout = table.layout
    if layout.value is InnerMap:
        return layout.decode(layout.key.unpack(key), [])
    pairs = table.pairs_of(Batch(memoryview(key), memoryview(value), 1))
    return layout.decode(*next(pairs))
