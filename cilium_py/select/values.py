"""What every entry of a table has in some fields, and what that adds up to.

Where a layout says what its rows are made of, no row is made (vectors); else entries are decoded and read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat, starmap
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from cilium_py.schema import InnerMap
from cilium_py.schema.decoder import Decoder
from cilium_py.select.fields import Field, Fields, reader
from cilium_py.select.masks import Columns
from cilium_py.select.moment import Moment
from cilium_py.select.vectors import vector_of
from cilium_py.table import OpenTable

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

R = TypeVar("R", bound=tuple[Any, ...])


class Portion(NamedTuple):
    """Some entries: what they have, in columns that can be read once."""

    keys: Iterable[bytes]
    values: Iterable[Any]
    """The value of the one field that was asked for, or a tuple of several."""
    packets: Iterable[int | None] | None
    """None where entries do not count them."""
    bytes: Iterable[int | None] | None


class Values(Generic[R]):
    """What reads some fields of entries, and their counters; of those that `keep` keeps."""

    def __init__(
        self, wanted: Sequence[Field], fields: Fields, moment: Moment, keep: Callable[[R], bool] | None = None
    ) -> None:
        self._wanted = wanted
        self._counters = [fields.get(name) for name in ("packets", "bytes")]
        self._fields = fields
        self._moment = moment
        self._keep = keep

    def of(self, table: OpenTable[R]) -> Callable[[Batch], Portion]:
        """What reads the batches of a table."""
        return self._by_column(table) or self._by_row(table)

    def of_rows(self, rows: Sequence[R], keys: Sequence[bytes] = ()) -> Portion:
        def column(field: Field) -> Iterable[Any]:
            return map(reader(field, self._fields, self._moment), rows)

        counted = [column(field) if field else None for field in self._counters]
        return Portion(keys, _lines(map(column, self._wanted), len(rows)), *counted)

    def _by_column(self, table: OpenTable[R]) -> Callable[[Batch], Portion] | None:
        """What reads batches without decoding their entries; None if that cannot be."""
        decoder = table.layout.decode
        # Values of a per-CPU map are sums over the CPUs, and what is kept is told by the row.
        if not isinstance(decoder, Decoder) or table.map.per_cpu or self._keep is not None:
            return None
        vectors = [vector for field in self._wanted if (vector := vector_of(field, decoder)) is not None]
        if len(vectors) < len(self._wanted):
            return None
        counters = [vector_of(field, decoder) if field else None for field in self._counters]
        keys = f"{table.layout.key.size}s"

        def portion(batch: Batch) -> Portion:
            columns = Columns(batch)
            counted = [vector(columns) if vector else None for vector in counters]
            read = _lines((vector(columns) for vector in vectors), batch.count)
            return Portion(chain.from_iterable(iter_unpack(keys, columns.key)), read, *counted)

        return portion

    def _by_row(self, table: OpenTable[R]) -> Callable[[Batch], Portion]:
        def portion(batch: Batch) -> Portion:
            kept = [(key, row) for key, row in _rows(table, batch) if self._keep is None or self._keep(row)]
            return self.of_rows([row for _, row in kept], [key for key, _ in kept])

        return portion


def _lines(columns: Iterable[Iterable[Any]], count: int) -> Iterable[Any]:
    """Columns read entry by entry; of no columns, as many empty tuples."""
    held = list(columns)
    if len(held) == 1:
        return held[0]
    return zip(*held, strict=False) if held else repeat((), count)


def _rows(table: OpenTable[R], batch: Batch) -> Iterator[tuple[bytes, R]]:
    """Each key with its row."""
    from cilium_py.bpf.batch import Batch

    if table.layout.value is not InnerMap:
        rows = starmap(table.layout.decode, table.pairs_of(batch))
        yield from zip((key for key, _ in batch.pairs()), rows, strict=True)
        return
    for key, value in batch.pairs():
        # The inner map may be gone, and with it the row.
        for pair in table.pairs_of(Batch(memoryview(key), memoryview(value), 1)):
            yield key, table.layout.decode(*pair)


class Sums:
    """Entries with the same values of some fields: how many, and what their counters add up to."""

    def __init__(self, width: int) -> None:
        self._is_single = width == 1
        self._of: dict[Any, list[int]] = {}

    def found(self) -> dict[tuple[Any, ...], list[int]]:
        """Values -> entries, packets, bytes."""
        return {(value,): sums for value, sums in self._of.items()} if self._is_single else self._of

    def add(self, portion: Portion) -> None:
        held = self._of
        if portion.packets is None and portion.bytes is None:
            for values, entries in Counter(portion.values).items():
                held.setdefault(values, [0, 0, 0])[0] += entries
            return
        counters = portion.packets or repeat(0), portion.bytes or repeat(0)
        for values, packets, size in zip(portion.values, *counters, strict=False):
            try:
                sums = held[values]
            except KeyError:
                held[values] = [1, packets or 0, size or 0]
            else:
                sums[0] += 1
                sums[1] += packets or 0
                sums[2] += size or 0
