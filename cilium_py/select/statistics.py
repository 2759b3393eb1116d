"""Rows counted by what they have: protocol, direction, state and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from cilium_py.render.stream import READING, chunks
from cilium_py.schema import Table
from cilium_py.schema.derived import AddressFamily
from cilium_py.select.fields import Field, Fields, Kind
from cilium_py.select.selection import Selection
from cilium_py.select.values import Portion, Sums, Values
from cilium_py.table import OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
BY = (
    "family", "protocol", "backend_protocol", "direction", "state", "backend_state", "action", "reason",
    "auth_type_name", "auth_type", "usage", "verdict", "related", "service", "status", "policy_ingress",
    "policy_egress", "kind", "type", "local", "remote",
)  # fmt: skip
"""What rows are counted by where they have it, in this order; `family` is that of their addresses."""
BOTH = {"ipv4", "ipv6"}
"""Fields of rows that may have an address of each family."""


class Count(NamedTuple):
    by: str
    value: str
    entries: int
    share: float
    """Of all the entries, 0 to 1."""
    packets: int | None
    bytes: int | None


def cells(row: Count) -> tuple[str, ...]:
    return (
        row.by.replace("_", " "), row.value or "-", str(row.entries), f"{row.share:.1%}",
        "-" if row.packets is None else str(row.packets), "-" if row.bytes is None else str(row.bytes),
    )  # fmt: skip


TEXT = Table(("BY", "VALUE", "ENTRIES", "SHARE", "PACKETS", "BYTES"), cells, padded="none")


def counts_of_rows(rows: Iterable[R], selection: Selection[R]) -> Iterator[Count]:
    """See counts_of_tables."""
    words = _words(selection.fields)
    values: Values[R] = Values(words, selection.fields, selection.moment)
    return _counts(words, map(values.of_rows, chunks(rows)), selection.fields)


def counts_of_tables(
    tables: Iterable[OpenTable[R]], selection: Selection[R], keep: Callable[[R], bool] | None
) -> Iterator[Count]:
    """The total, then each value of each word, the most frequent first; of what was read before an error too."""
    words = _words(selection.fields)
    values = Values(words, selection.fields, selection.moment, keep)
    portions = (portion for table in tables for portion in map(values.of(table), table.batches()))
    return _counts(words, portions, selection.fields)


def _counts(words: Sequence[Field], portions: Iterable[Portion], fields: Fields) -> Iterator[Count]:
    # Few rows differ in all of these words: each row is counted once, and each word of what was counted at the end.
    sums = Sums(len(words))
    counted = [name in fields for name in ("packets", "bytes")]
    failure: Exception | None = None
    try:
        for portion in portions:
            sums.add(portion)
    except READING as error:
        failure = error
    found = sums.found()
    total = [sum(column) for column in zip(*found.values(), strict=True)] or [0, 0, 0]
    yield _count("total", "", total, total[0], counted)
    for at, word in enumerate(words):
        values: dict[str, list[int]] = {}
        for said, held in found.items():
            sofar = values.setdefault(_text(said[at]), [0, 0, 0])
            for column, count in enumerate(held):
                sofar[column] += count
        for value, held in sorted(values.items(), key=lambda item: (-item[1][0], item[0])):
            yield _count(word.name, value, held, total[0], counted)
    if failure is not None:
        raise failure


def _count(name: str, value: str, held: list[int], entries: int, counted: list[bool]) -> Count:
    packets, size = (count if is_there else None for count, is_there in zip(held[1:], counted, strict=True))
    return Count(name, value, held[0], round(held[0] / entries, 4) if entries else 0.0, packets, size)


def _words(fields: Fields) -> list[Field]:
    """The fields that rows are counted by."""
    known = dict(fields)
    addresses = [each.name for each in fields.values() if each.kind is Kind.ADDRESS]
    if addresses and not fields.keys() >= BOTH:
        known["family"] = Field("family", Kind.TEXT, derived=AddressFamily("family", addresses[0]))
    return [known[name] for name in BY if name in known and known[name].kind in (Kind.TEXT, Kind.FLAG)]


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else value or ""
