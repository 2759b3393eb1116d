"""What was asked for, ready to be applied: which rows, in which order, how many, and which of their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from cilium_py.errors import WrongUsage
from cilium_py.render.spool import arranged
from cilium_py.schema import InnerMap
from cilium_py.select.fields import Field, Fields, Kind, named, reader
from cilium_py.select.moment import Moment
from cilium_py.select.octets import sieve_of
from cilium_py.select.rows import Test, test_of
from cilium_py.select.times import at_moment
from cilium_py.select.tree import EVERYTHING, Node

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch
    from cilium_py.table import OpenTable

R = TypeVar("R", bound=tuple[Any, ...])


class Order(NamedTuple):
    field: Field
    descending: bool


@dataclass(frozen=True)
class Selection(Generic[R]):
    """Of rows of one type, at one moment."""

    fields: Fields
    moment: Moment
    where: Node = EVERYTHING
    order: tuple[Order, ...] = ()
    limit: int | None = None
    columns: tuple[Field, ...] = ()

    @cached_property
    def node(self) -> Node:
        """The selection with its durations as times."""
        return at_moment(self.where, self.fields, self.moment)

    @cached_property
    def test(self) -> Test:
        return test_of(self.node)

    def narrow(self, table: OpenTable[R]) -> None:
        """Have a table leave out of its batches what is not selected."""
        if self.node == EVERYTHING:
            return
        is_held, decode, test = table.layout.value is InnerMap, table.layout.decode, self.test
        # Values of a per-CPU map are sums, those of a map of maps are ids: their bytes tell nothing.
        sieve = None if is_held or table.map.per_cpu else sieve_of(self.node, table.layout)
        if sieve is not None and sieve.exact:
            table.narrow = sieve.narrow
            return
        before = _unchanged if sieve is None else sieve.narrow

        from cilium_py.bpf.batch import Batch

        def tried(batch: Batch) -> Batch | None:
            rest = before(batch)
            if rest is None:
                return None
            # An inner map may be gone, with nothing left to try: so of those each on its own.
            parts = (
                [rest] if not is_held else [Batch(memoryview(key), memoryview(value), 1) for key, value in rest.pairs()]
            )
            answers = [[test(decode(*pair)) for pair in table.pairs_of(part)] or [False] for part in parts]
            return _where(chain.from_iterable(answers), rest)

        table.narrow = tried

    def of(self, rows: Iterable[R]) -> Iterator[R]:
        """The selected ones of rows."""
        return iter(rows) if self.node == EVERYTHING else filter(self.test, rows)

    def arranged(self, rows: Iterable[R], order: Callable[[R], Any] | None = None) -> Iterator[R]:
        """Rows in the order that was asked for, or else in the usual one, and no more than the limit."""
        keys = [(self.sort_key(each), each.descending) for each in reversed(self.order)]
        if not keys and order is not None:
            keys = [(order, False)]
        if not keys:
            return islice(rows, self.limit)
        *before, (last, reverse) = keys
        for key, descending in before:
            rows = arranged(rows, key, reverse=descending)
        return arranged(rows, last, reverse=reverse, limit=self.limit)

    def sort_key(self, order: Order) -> Callable[[R], Any]:
        """Rows without a value come last, whichever way the others are sorted."""
        read = reader(order.field, self.fields, self.moment)
        is_address = order.field.kind in (Kind.ADDRESS, Kind.PREFIX)

        def key(row: R) -> tuple[bool, Any]:
            value = read(row)
            missing = value is None
            if is_address and not missing:
                value = (len(value[0] if order.field.kind is Kind.PREFIX else value), value)
            return missing != order.descending, 0 if missing else value

        return key


def delete(table: OpenTable[Any]) -> int:
    """Delete what a table gives; return how many entries that were."""
    return sum(table.map.delete_batch(bytes(batch.keys)) for batch in table.batches())


def _unchanged(batch: Batch) -> Batch | None:
    return batch


def _where(answers: Iterable[bool], batch: Batch) -> Batch | None:
    chosen = [at for at, is_wanted in enumerate(answers) if is_wanted]
    return batch.chosen(chosen) if chosen else None


def text_of(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(text_of, value)) if isinstance(value, list) else str(value)


def orders(texts: Sequence[str], fields: Fields) -> tuple[Order, ...]:
    """Of FIELD or FIELD:desc, several between commas. Raises WrongUsage."""
    found = []
    for text in (part for each in texts for part in each.split(",")):
        name, colon, direction = text.strip().partition(":")
        if colon and direction not in ("asc", "desc"):
            raise WrongUsage(f"--sort {text}: {direction!r} is no direction", "FIELD, FIELD:asc or FIELD:desc")
        found.append(Order(named(fields, name, "--sort "), direction == "desc"))
    return tuple(found)


def columns(texts: Sequence[str], fields: Fields) -> tuple[Field, ...]:
    """Of names of fields, several between commas; each once. Raises WrongUsage."""
    names = (part.strip() for each in texts for part in each.split(","))
    return tuple(dict.fromkeys(named(fields, name, "--columns ") for name in names))
