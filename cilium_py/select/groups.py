"""Rows grouped by some of their fields: how many, and how much went through them since the last look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from cilium_py.errors import WrongUsage
from cilium_py.select.fields import Field, Fields, Kind, named
from cilium_py.select.looks import Difference, Look
from cilium_py.select.moment import Moment
from cilium_py.select.values import Portion, Sums, Values
from cilium_py.table import OpenTable

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

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
    """Counts by group, look after look. Rates are those of entries, so that they are true where entries come and go."""

    def __init__(self, by: Sequence[Field], fields: Fields, *, rates: bool = True) -> None:
        self.by = by
        self._fields = fields
        self._has_packets, self._has_bytes = "packets" in fields, "bytes" in fields
        self._rates = rates and (self._has_packets or self._has_bytes)
        self._looks: dict[str, Look] = {}
        """Of each pin."""
        self._at: float | None = None

    def look(self, tables: Iterable[OpenTable[R]], moment: Moment, keep: Callable[[R], bool] | None) -> list[Group]:
        """Every group, in no order."""
        values = Values(self.by, self._fields, moment, keep)
        sums, more = Sums(len(self.by)), Sums(len(self.by))
        now = time.monotonic()
        seconds = None if self._at is None else max(now - self._at, 1e-3)
        looks, self._looks = self._looks, {}
        for table in tables:
            read = values.of(table)
            look = Look(looks.pop(table.path.name, None if seconds is None else Look()))
            for batch in table.batches():
                sums.add(read(batch))
                if self._rates:
                    _add_since(more, read, look.see(batch))
            _add_since(more, read, look.end())
            self._looks[table.path.name] = look
        self._at = now
        since = more.found()
        return [self._group(values, held, since.get(values), seconds) for values, held in sums.found().items()]

    def _group(
        self, values: tuple[Any, ...], sums: Sequence[int], more: Sequence[int] | None, seconds: float | None
    ) -> Group:
        _, more_packets, more_bytes = more or (0, 0, 0)
        return Group(
            values,
            sums[0],
            sums[1] if self._has_packets else None,
            sums[2] if self._has_bytes else None,
            more_packets / seconds if seconds and self._has_packets else None,
            more_bytes / seconds if seconds and self._has_bytes else None,
        )


def _add_since(sums: Sums, read: Callable[[Batch], Portion], differences: Iterable[Difference]) -> None:
    """Add what entries have counted since the last look."""
    from cilium_py.bpf.batch import ROOM, Batch

    def portion(entries: Iterable[tuple[bytes, bytes]]) -> Portion:
        keys, values = zip(*entries, strict=True)
        return read(Batch(memoryview(b"".join(keys)), memoryview(b"".join(values)), len(keys)))

    there = ((key, before, now) for key, before, now in differences if now is not None)
    while some := list(islice(there, ROOM)):
        known = {}
        if old := [(key, before) for key, before, _ in some if before is not None]:
            known = {key: counts for key, *counts in zip(*_counted(portion(old)), strict=True)}
        found = portion((key, now) for key, _, now in some)
        values = list(found.values)
        packets, sizes = [], []
        for key, more, larger in zip(*_counted(found), strict=True):
            had_packets, had_bytes = known.get(key, (0, 0))
            packets.append(max(more - had_packets, 0))
            sizes.append(max(larger - had_bytes, 0))
        sums.add(Portion((), values, packets, sizes))


def _counted(portion: Portion) -> tuple[list[bytes], list[int], list[int]]:
    keys = list(portion.keys)
    packets, sizes = (
        [count or 0 for count in column] if column is not None else [0] * len(keys)
        for column in (portion.packets, portion.bytes)
    )
    return keys, packets, sizes
