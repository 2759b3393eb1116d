"""The first rows of an order, of tables of any size: no more are kept than are shown.

Once there are so many, an entry matters only if it comes before the last of them, and which ones may is told by
their bytes: of a large table few are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest, nsmallest
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from cilium_py.render.stream import READING
from cilium_py.schema import InnerMap
from cilium_py.select.fields import Kind, reader
from cilium_py.select.octets import sieve_of
from cilium_py.select.selection import Selection
from cilium_py.select.times import at_moment
from cilium_py.select.tree import Compare
from cilium_py.table import OpenTable

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch
    from cilium_py.select.octets import Sieve

R = TypeVar("R", bound=tuple[Any, ...])


def first_rows(
    selection: Selection[R], tables: Iterable[OpenTable[R]], keep: Callable[[R], bool] | None
) -> Iterator[R]:
    """As many rows as the selection's limit says, in the first of its orders; of rows read before an error too."""
    order, limit = selection.order[0], selection.limit or 0
    first, key = nlargest if order.descending else nsmallest, selection.sort_key(order)
    best: list[R] = []
    failure: Exception | None = None
    try:
        for table in tables:
            bar = _Bar(selection, table)
            for batch in table.batches():
                passed = bar.narrow(batch)
                if passed is None:
                    continue
                rows = (table.layout.decode(*pair) for pair in table.pairs_of(passed))
                best = first(limit, chain(best, filter(keep, rows) if keep else rows), key)
                if len(best) == limit and best:
                    bar.raise_to(best[-1])
    except READING as error:
        failure = error
    yield from best
    if failure is not None:
        raise failure


class _Bar:
    """What an entry must be better than."""

    def __init__(self, selection: Selection[Any], table: OpenTable[Any]) -> None:
        order = selection.order[0]
        self._selection = selection
        self._table = table
        self._read = reader(order.field, selection.fields, selection.moment)
        is_told = order.field.kind in (Kind.NUMBER, Kind.TIME)
        self._applies = is_told and not table.map.per_cpu and table.layout.value is not InnerMap
        self._at: Any = None
        self._sieve: Sieve | None = None

    def raise_to(self, row: Any) -> None:
        value = self._read(row)
        if not self._applies or value is None or value == self._at:
            return
        order, self._at = self._selection.order[0], value
        better = Compare(order.field, ">" if order.descending else "<", value)
        node = at_moment(better, self._selection.fields, self._selection.moment)
        self._sieve = sieve_of(node, self._table.layout)

    def narrow(self, batch: Batch) -> Batch | None:
        return batch if self._sieve is None else self._sieve.narrow(batch)
