"""What is counted by columns of bytes is what is counted by rows: statistics, groups and their rates."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import ct
from cilium_py.node.runtime import RuntimeConfig
from cilium_py.select.fields import fields_of, reader
from cilium_py.select.groups import Group, Tally
from cilium_py.select.moment import Moment
from cilium_py.select.selection import Selection
from cilium_py.select.statistics import counts_of_rows, counts_of_tables
from cilium_py.table import OpenTable, open_source

ADDRESSES = st.sampled_from([b"\n\0\0\1", b"\n\0\0\2"])
NUMBERS = st.sampled_from([0, 1, 2, 3, 5, (1 << 64) - 1])
SMALL = st.integers(0, 3)
KEYS = st.builds(
    lambda daddr, dport, nexthdr, flags: ct.Key4(
        daddr=daddr, saddr=b"\n\0\1\7", dport=dport, sport=9, nexthdr=nexthdr, flags=flags
    ),
    ADDRESSES, SMALL, st.sampled_from([6, 17, 77]), st.integers(0, 7),
)  # fmt: skip
VALUES = st.builds(
    lambda packets, size, flags, seen: ct.Entry(packets=packets, bytes=size, flags=flags, tx_flags_seen=seen),
    NUMBERS, NUMBERS, st.integers(0, 0x1F), st.integers(0, 7),
)  # fmt: skip
TABLES = st.dictionaries(KEYS, VALUES, max_size=20)
FIELDS = fields_of(ct.MAP.row, ct.MAP.derived)
BY = st.lists(
    st.sampled_from([FIELDS[name] for name in FIELDS if name not in ("flag_names", "remaining", "idle")]),
    min_size=1,
    max_size=3,
    unique=True,
)


@pytest.fixture
def table(bpffs: Path) -> Any:
    with BpfMap.create(
        name="ct", type=MapType.HASH, key_size=ct.Key4.size, value_size=ct.Entry.size, max_entries=64
    ) as made:  # fmt: skip
        made.pin(bpffs / "cilium_ct4_global")
        with open_source(ct.MAP.sources[0], bpffs, read_only=False) as opened:
            yield opened


def changed(table: OpenTable[ct.Row], entries: dict[ct.Key4, ct.Entry]) -> None:
    """Give the table these entries and no others; those that stay keep their place."""
    there = {key for key, _ in table.map.entries()}
    for key in there - {key.pack() for key in entries}:
        table.map.delete(key)
    for key, value in entries.items():
        table.map.update(key.pack(), value.pack())


def totals(groups: list[Group]) -> dict[tuple[Any, ...], Group]:
    return {group.values: group for group in groups}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=st.lists(TABLES, min_size=1, max_size=4), by=BY)
def test_groups(table: OpenTable[ct.Row], looks: list[dict[ct.Key4, ct.Entry]], by: list[Any]) -> None:
    moment = Moment(lambda: RuntimeConfig().clock)
    reads = [reader(field, FIELDS, moment) for field in by]
    by_column, by_row = Tally[ct.Row](by, FIELDS), Tally[ct.Row](by, FIELDS)
    before: dict[ct.Key4, ct.Row] = {}
    for number, entries in enumerate(looks):
        changed(table, entries)
        rows = {key: table.layout.decode(key, value) for key, value in entries.items()}
        # A second from look to look.
        with mock.patch("cilium_py.select.groups.time", SimpleNamespace(monotonic=count(number).__next__)):
            found = totals(by_column.look([table], moment, None))
        with mock.patch("cilium_py.select.groups.time", SimpleNamespace(monotonic=count(number).__next__)):
            assert found == totals(by_row.look([table], moment, lambda row: row is not None))
        packets, since = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
        for key, row in rows.items():
            values = tuple(read(row) for read in reads)
            packets[values] += row.packets
            since[values] += max(row.packets - (before[key].packets if key in before else 0), 0)
        assert {values: group.packets for values, group in found.items()} == packets
        assert {values: group.packets_per_second for values, group in found.items()} == (
            {values: float(more) for values, more in since.items()} if number else dict.fromkeys(packets)
        )
        before = rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=TABLES)
def test_statistics(table: OpenTable[ct.Row], entries: dict[ct.Key4, ct.Entry]) -> None:
    changed(table, entries)
    selection = Selection[ct.Row](FIELDS, Moment(lambda: RuntimeConfig().clock))
    by_row = list(counts_of_rows(list(table.rows()), selection))
    assert list(counts_of_tables([table], selection, None)) == by_row
    assert list(counts_of_tables([table], selection, lambda row: row is not None)) == by_row
