"""Rows counted by what they have: protocol, direction, state and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    fields, readers = selection.fields, {"total": _nothing, **dict(_readers(selection))}
    sizes = [fields[name].index if name in fields else None for name in ("packets", "bytes")]
    sums: dict[str, dict[str, list[int]]] = {name: {} for name in readers}
    sums["total"][""] = [0, 0, 0]
    failure: Exception | None = None
    try:
        for row in rows:
            packets, size = (0 if at is None else row[at] or 0 for at in sizes)
            for name, read in readers.items():
                held = sums[name].setdefault(read(row), [0, 0, 0])
                held[0] += 1
                held[1] += packets
                held[2] += size
    except READING as error:
        failure = error
    entries = sums["total"][""][0]
    for name, values in sums.items():
        for value, (found, *sized) in sorted(values.items(), key=lambda item: (-item[1][0], item[0])):
            counters = (None if at is None else counter for at, counter in zip(sizes, sized, strict=True))
            yield Count(name, value, found, round(found / entries, 4) if entries else 0.0, *counters)
    if failure is not None:
        raise failure


def _nothing(_row: Any) -> str:
    return ""


def _readers(selection: Selection[R]) -> Iterator[tuple[str, Callable[[R], str]]]:
    fields = selection.fields
    address = next((field.index for field in fields.values() if field.kind is Kind.ADDRESS), None)
    for name in BY:
        if name == "family" and address is not None:
            yield name, lambda row: {4: "IPv4", 16: "IPv6"}.get(len(row[address] or b""), "")
        elif name in fields and fields[name].kind in (Kind.TEXT, Kind.FLAG):
            yield name, _texts(reader(fields[name], fields, selection.moment))


def _texts(read: Callable[[R], Any]) -> Callable[[R], str]:
    def text(row: R) -> str:
        value = read(row)
        return ("yes" if value else "no") if isinstance(value, bool) else value or ""

    return text
