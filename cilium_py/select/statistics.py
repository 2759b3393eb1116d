"""Rows counted by what they have: protocol, direction, state and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from cilium_py.render.stream import READING
from cilium_py.schema import Table
from cilium_py.select.fields import Kind, reader
from cilium_py.select.selection import Selection

R = TypeVar("R", bound=tuple[Any, ...])
BY = (
    "family", "protocol", "backend_protocol", "direction", "state", "backend_state", "action", "reason",
    "auth_type_name", "auth_type", "usage", "verdict", "related", "service",
)  # fmt: skip
"""What rows are counted by where they have it, in this order; `family` is that of their addresses."""


FAMILIES = {4: "IPv4", 16: "IPv6"}


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


def counts(rows: Iterable[R], selection: Selection[R]) -> Iterator[Count]:
    """The total, then each value of each word, the most frequent first; of rows read before an error too."""
    fields = selection.fields
    names, signature = _signature(selection)
    sizes = [fields[name].index if name in fields else None for name in ("packets", "bytes")]
    packets_at, bytes_at = (len(fields) if at is None else at for at in sizes)
    # Few rows differ in all of these words: each row is counted once, and each word of what was counted at the end.
    sums: dict[tuple[Any, ...], list[int]] = {}
    failure: Exception | None = None
    try:
        for row in rows:
            said = signature(row)
            held = sums.get(said)
            if held is None:
                held = sums[said] = [0, 0, 0]
            held[0] += 1
            if sizes[0] is not None:
                held[1] += row[packets_at] or 0
            if sizes[1] is not None:
                held[2] += row[bytes_at] or 0
    except READING as error:
        failure = error
    counted = [sizes[0] is not None, sizes[1] is not None]
    total = [sum(column) for column in zip(*sums.values(), strict=True)] or [0, 0, 0]
    yield _count("total", "", total, total[0], counted)
    for name in sorted(names, key=BY.index):
        at = names.index(name)
        values: dict[str, list[int]] = {}
        for said, held in sums.items():
            sofar = values.setdefault(_text(said[at]), [0, 0, 0])
            for column, count in enumerate(held):
                sofar[column] += count
        for value, held in sorted(values.items(), key=lambda item: (-item[1][0], item[0])):
            yield _count(name, value, held, total[0], counted)
    if failure is not None:
        raise failure


def _count(name: str, value: str, held: list[int], entries: int, counted: list[bool]) -> Count:
    packets, size = (count if is_there else None for count, is_there in zip(held[1:], counted, strict=True))
    return Count(name, value, held[0], round(held[0] / entries, 4) if entries else 0.0, packets, size)


def _signature(selection: Selection[Any]) -> tuple[list[str], Callable[[Any], tuple[Any, ...]]]:
    """The words that rows are counted by, and what reads their values from a row."""
    fields = selection.fields
    known = [name for name in BY if name in fields and fields[name].kind in (Kind.TEXT, Kind.FLAG)]
    plain = [name for name in known if fields[name].derived is None]
    others = {name: reader(fields[name], fields, selection.moment) for name in known if name not in plain}
    address = next((field.index for field in fields.values() if field.kind is Kind.ADDRESS), None)
    if address is not None:
        others["family"] = lambda row: FAMILIES.get(len(row[address] or b""), "")
    reads = list(others.values())
    if len(plain) < 2:
        reads = [*(reader(fields[name], fields, selection.moment) for name in plain), *reads]
        return [*plain, *others], lambda row: tuple([read(row) for read in reads])
    read_plain = itemgetter(*(fields[name].index for name in plain))
    return [*plain, *others], lambda row: (*read_plain(row), *[read(row) for read in reads])


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else value or ""
