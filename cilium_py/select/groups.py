"""Rows grouped by some of their fields: how many, and how much went through them since the last look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Generic, NamedTuple, TypeVar

from cilium_py.errors import WrongUsage
from cilium_py.select.fields import Field, Fields, Kind, named
from cilium_py.select.moment import Moment
from cilium_py.select.values import Portion, Sums, Values
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
        self._has_packets, self._has_bytes = "packets" in fields, "bytes" in fields
        self._rates = rates and (self._has_packets or self._has_bytes)
        self._counted: dict[str, dict[bytes, int]] = {}
        """Pin -> key -> bytes << 64 | packets."""
        self._at: float | None = None

    def look(self, tables: Iterable[OpenTable[R]], moment: Moment, keep: Callable[[R], bool] | None) -> list[Group]:
        """Every group, in no order."""
        values = Values(self.by, self._fields, moment, keep)
        sums, more = Sums(len(self.by)), Sums(len(self.by))
        counted: dict[str, dict[bytes, int]] = {}
        now = time.monotonic()
        seconds = None if self._at is None else max(now - self._at, 1e-3)
        for table in tables:
            name = table.path.name
            before, present = self._counted.pop(name, {}), counted.setdefault(name, {})
            for portion in values.of([table]):
                if self._rates:
                    lasting = portion.lasting()
                    sums.add(lasting)
                    more.add(_since(lasting, before, present))
                else:
                    sums.add(portion)
        self._counted, self._at = counted, now
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


def _since(portion: Portion, before: dict[bytes, int], present: dict[bytes, int]) -> Portion:
    """What entries have counted since they were in `before`, out of which they are taken; now they are `present`."""
    packets, sizes = [], []
    for key, each, size in zip(portion.keys, portion.packets or repeat(0), portion.bytes or repeat(0), strict=False):
        count = (size or 0) << 64 | (each or 0)
        known = before.pop(key, 0)
        present[key] = count
        packets.append(max((each or 0) - (known & MOST), 0))
        sizes.append(max((size or 0) - (known >> 64), 0))
    return Portion((), portion.values, packets, sizes)
