"""Rows grouped by some of their fields: how many, and how much went through them since the last look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from cilium_py.errors import WrongUsage
from cilium_py.select.fields import Field, Fields, Kind, named, reader
from cilium_py.select.moment import Moment
from cilium_py.table import OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
GROUPABLE = (Kind.TEXT, Kind.NUMBER, Kind.ADDRESS, Kind.PREFIX, Kind.MAC, Kind.FLAG)
USUAL = ("source", "address", "prefix", "identity", "reason", "rev_nat", "endpoint", "protocol")
"""What is grouped by if nothing else is said: the first of these that rows have."""
WORDS = {
    "service": ("rev_nat",),
    "backend": ("backend_id",),
    "endpoint": ("endpoint_id", "endpoint"),
    "identity": ("source_identity",),
}
"""Other names of fields."""


MOST = (1 << 64) - 1


class Group(NamedTuple):
    """Counts of rows with the same values. The rates are since the last look; None at the first."""

    values: tuple[Any, ...]
    entries: int
    packets: int | None
    bytes: int | None
    packets_per_second: float | None
    bytes_per_second: float | None


def grouping(texts: Sequence[str], fields: Fields) -> list[Field]:
    """The fields of --by, or the usual one. Raises WrongUsage."""
    if not texts:
        usual = next((fields[name] for name in USUAL if name in fields), None)
        return [usual or next(iter(fields.values()))]
    found = [_field(part.strip(), fields) for each in texts for part in each.split(",")]
    for field in found:
        if field.kind not in GROUPABLE:
            raise WrongUsage(f"--by {field.name}: {field.kind.value} makes no groups")
    return list(dict.fromkeys(found))


def _field(name: str, fields: Fields) -> Field:
    if name not in fields:
        for other in WORDS.get(name, ()):
            if other in fields:
                return fields[other]
    return named(fields, name, "--by ")


class Tally(Generic[R]):
    """Counts by group, look after look. What entries had counted is kept by entry, so that rates are true where
    entries come and go."""

    def __init__(self, by: Sequence[Field], fields: Fields, *, rates: bool = True) -> None:
        self.by = by
        self._fields = fields
        self._sizes = [fields[name].index if name in fields else None for name in ("packets", "bytes")]
        self._rates = rates and self._sizes != [None, None]
        self._counted: dict[str, dict[bytes, int]] = {}
        """Pin -> key -> bytes << 64 | packets."""
        self._at: float | None = None

    def look(self, tables: Iterable[OpenTable[R]], moment: Moment, keep: Callable[[R], bool] | None) -> list[Group]:
        """Every group, in no order."""
        readers = [reader(field, self._fields, moment) for field in self.by]
        one = readers[0] if len(readers) == 1 else None
        counted: dict[str, dict[bytes, int]] = {}
        sums: dict[Any, list[int]] = {}
        now = time.monotonic()
        seconds = None if self._at is None else max(now - self._at, 1e-3)
        packets_at, bytes_at = self._sizes
        for table in tables:
            decode = table.layout.decode
            before, present = self._counted.get(table.path.name, {}), counted.setdefault(table.path.name, {})
            for batch in table.batches():
                for (key, _), pair in zip(batch.pairs(), table.pairs_of(batch), strict=False):
                    row = decode(*pair)
                    if keep is not None and not keep(row):
                        continue
                    packets = (row[packets_at] or 0) if packets_at is not None else 0
                    size = (row[bytes_at] or 0) if bytes_at is not None else 0
                    group = sums.setdefault(one(row) if one else tuple(r(row) for r in readers), [0, 0, 0, 0, 0])
                    group[0] += 1
                    group[1] += packets
                    group[2] += size
                    if self._rates:
                        present[key] = size << 64 | packets
                        known = before.get(key, 0)
                        group[3] += max(packets - (known & MOST), 0)
                        group[4] += max(size - (known >> 64), 0)
        self._counted, self._at = counted, now
        return [
            Group(
                (values,) if one else values,
                entries,
                packets if packets_at is not None else None,
                size if bytes_at is not None else None,
                more / seconds if seconds and packets_at is not None else None,
                larger / seconds if seconds and bytes_at is not None else None,
            )
            for values, (entries, packets, size, more, larger) in sums.items()
        ]
