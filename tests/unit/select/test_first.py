"""The first rows of an order are those of the sorted whole, though few of them are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.bpf.batch import Batch
from cilium_py.maps import ct
from cilium_py.select.fields import fields_of
from cilium_py.select.first import first_rows
from cilium_py.select.moment import Moment
from cilium_py.select.selection import Order, Selection
from cilium_py.table import OpenTable

LAYOUT = ct.LAYOUTS_4[1]
FIELDS = fields_of(ct.Row, ct.MAP.derived)


class Clock(NamedTuple):
    hertz: int = 0

    def seconds(self, ticks: int) -> int:
        return ticks

    def now(self) -> int:
        return 1000


class Recorded:
    """Entries in batches of three."""

    per_cpu = False

    def __init__(self, entries: list[tuple[bytes, bytes]]) -> None:
        self.entries = entries

    def batches(self) -> Iterator[Batch]:
        for at in range(0, len(self.entries), 3):
            keys, values = zip(*self.entries[at : at + 3], strict=True)
            yield Batch(memoryview(b"".join(keys)), memoryview(b"".join(values)), len(keys))


def entry(number: int, size: int, seen: int) -> tuple[bytes, bytes]:
    key = ct.Key4(sport=number % 65536, nexthdr=6)
    return key.pack(), ct.Entry(bytes=size, lifetime=size, last_rx_report=seen, last_tx_report=size % 7).pack()


@given(
    sizes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=40),
    name=st.sampled_from(["bytes", "expires", "remaining", "idle", "source_port", "nat_port", "protocol", "source"]),
    descending=st.booleans(),
    limit=st.integers(0, 12),
)
def test_as_sorted(sizes: list[tuple[int, int]], name: str, descending: bool, limit: int) -> None:
    entries = [entry(number, *size) for number, size in enumerate(sizes)]
    selection: Selection[Any] = Selection(FIELDS, Moment(Clock), order=(Order(FIELDS[name], descending),), limit=limit)
    recorded: Any = Recorded(entries)
    table = OpenTable(recorded, LAYOUT, Path("ct"))
    wanted = list(selection.arranged(table.rows()))
    assert list(first_rows(selection, [table], None)) == wanted
