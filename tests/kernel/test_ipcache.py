"""The entry of a prefix is found by lookups where they can tell it, else by reading the map: it is the same entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.cli.ipcache import looked_up
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.maps.ipcache import MAP, Key, Row, Value, key_fields
from cilium_py.schema.text import parse_prefix
from cilium_py.table import Family

ENTRIES = {
    ("0.0.0.0/0", 0): 2, ("10.0.0.0/8", 0): 100, ("10.1.0.0/16", 0): 100, ("10.1.2.3/32", 0): 7,
    ("10.1.2.3/32", 5): 8, ("fd00::/64", 0): 9, ("fd00::1/128", 0): 9,
}  # fmt: skip


@pytest.fixture
def family(bpffs: Path) -> Iterator[Family[Row]]:
    pin = bpffs / "cilium_ipcache_v2"
    with BpfMap.create(
        name="ipcache", type=MapType.LPM_TRIE, key_size=24, value_size=24, max_entries=64, flags=BPF_F_NO_PREALLOC
    ) as made:
        for (prefix, cluster), identity in ENTRIES.items():
            key = Key(**key_fields(parse_prefix(prefix), cluster))  # type: ignore[arg-type]  # the names of its fields
            made.update(key.pack(), Value(sec_identity=identity).pack())
        made.pin(pin)
    yield Family(MAP, bpffs)
    pin.unlink()


@pytest.mark.parametrize(
    ("prefix", "cluster", "identities"),
    [
        ("0.0.0.0/0", 0, [2]),
        ("10.0.0.0/8", 0, [100]),
        ("10.1.2.3/32", 0, [7]),
        ("10.1.2.3/32", 5, [8]),
        ("fd00::/64", 0, [9]),
        ("10.1.2.3/32", 6, []),
        ("fe80::1/128", 0, []),
        # What is around has the same value, whether or not there is an entry.
        ("10.1.0.0/16", 0, None),
        ("10.2.0.0/16", 0, None),
        ("fd00::1/128", 0, None),
    ],
)
def test_exactly_this_prefix(
    prefix: str, cluster: int, identities: list[int] | None, family: Family[Row]
) -> None:  # fmt: skip
    network = parse_prefix(prefix)
    found = looked_up(family, network, cluster)
    assert (None if found is None else [row.identity for row in found]) == identities
    listed = [row for row in family.rows() if (row.prefix, row.cluster_id) == (network, cluster)]
    assert found is None or found == listed
