"""A policy in a live map: written, kept, repaired, and refused where there is no room."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.errors import LayoutMismatch
from cilium_py.libbpf.constants import MapType
from cilium_py.policy import table
from cilium_py.policy.changes import Changes
from cilium_py.policy.desired import DesiredPolicy, Part
from cilium_py.policy.mapstate import ALLOW, DENY, Entry, Key
from cilium_py.policy.ports import EVERYTHING, L4, TCP, exactly
from cilium_py.policy.rule import Direction
from tests.kernel.world import made

BPF_F_NO_PREALLOC = 1
IN, OUT = Direction.INGRESS, Direction.EGRESS
WEB, ANY = Key(IN, 300, exactly(TCP, 80)), Key(OUT, 0, EVERYTHING)


@pytest.fixture
def small(as_root: None) -> Iterator[BpfMap]:  # noqa: ARG001
    made = BpfMap.create(
        name="policy", type=MapType.LPM_TRIE, key_size=12, value_size=8, max_entries=8, flags=BPF_F_NO_PREALLOC
    )
    with made:
        yield made


def policy(entries: dict[Key, Entry], rule: str = "web: ingress[0]") -> DesiredPolicy:
    parts = tuple(Part(key.direction, rule, ((key.l4, entry),)) for key, entry in entries.items())
    parts_of: dict[Any, tuple[int, ...]] = {}
    for at, key in enumerate(entries):
        parts_of[key.direction, key.identity] = (*parts_of.get((key.direction, key.identity), ()), at)
    return DesiredPolicy(entries, True, True, 2, (), parts, parts_of)


def many(count: int) -> dict[Key, Entry]:
    return {Key(IN, identity, EVERYTHING): ALLOW for identity in range(256, 256 + count)}


@pytest.mark.parametrize(
    ("key", "entry", "data", "value"),
    [
        (ANY, ALLOW, "28000000 00000000 01 00 0000", "0000 00 00 00 00 0000"),
        (WEB, DENY, "40000000 2c010000 00 06 0050", "0000 c1 00 00 00 0000"),
        (
            Key(IN, 1, L4(TCP, 8192, 11)), Entry(False, 10000, 27, 1, True),
            "33000000 01000000 00 06 2000", "2710 58 81 1b 00 0000",
        ),
    ],
    ids=["anyone", "a denied port", "a range through a proxy, authenticated"],
)  # fmt: skip
def test_entries_lie_in_memory_as_the_programs_read_them(key: Key, entry: Entry, data: str, value: str) -> None:
    assert table.pack_key(key) == bytes.fromhex(data)
    assert table.pack_value(key, entry) == bytes.fromhex(value)
    assert table.unpack_key(bytes.fromhex(data)) == key
    assert table.unpack_value(bytes.fromhex(value)) == entry


def test_only_what_differs_is_written(small: BpfMap) -> None:
    assert table.apply(small, policy({WEB: ALLOW, ANY: ALLOW})) == Changes(added=2)
    assert table.apply(small, policy({WEB: DENY, ANY: ALLOW})) == Changes(changed=1, kept=1)
    assert table.apply(small, policy({ANY: ALLOW})) == Changes(deleted=1, kept=1)
    assert not table.apply(small, policy({ANY: ALLOW}))
    assert table.read(small) == {ANY: ALLOW}


def test_what_no_policy_could_have_written_goes(small: BpfMap) -> None:
    nonsense = struct.pack("<IIBBH", 40, 5, 7, 0, 0)
    small.update(nonsense, bytes(8))
    table.apply(small, policy({ANY: ALLOW}))
    assert [key for key, _ in small.entries()] == [table.pack_key(ANY)]


def test_an_entry_of_other_bits_is_put_right(small: BpfMap) -> None:
    small.update(table.pack_key(WEB), bytes(8))
    assert table.apply(small, policy({WEB: ALLOW})) == Changes(changed=1)
    assert small.lookup(table.pack_key(WEB)) == table.pack_value(WEB, ALLOW)


def test_open_directions_are_said_without_touching_what_is_there(small: BpfMap) -> None:
    small.update(table.pack_key(ANY), table.pack_value(ANY, DENY))
    table.open_up(small, [IN, OUT])
    assert table.read(small) == {ANY: DENY, Key(IN, 0, EVERYTHING): ALLOW}


def test_a_map_without_room_for_both_contents_is_left_alone(small: BpfMap) -> None:
    table.apply(small, policy(many(5)))
    with pytest.raises(table.PolicyMapTooSmall, match="room for 8 entries, too few to replace 5 by 4"):
        table.apply(small, policy({Key(OUT, n, EVERYTHING): ALLOW for n in range(4)}))
    assert table.read(small) == many(5)


def test_more_entries_than_a_policy_can_have_name_their_rules(small: BpfMap) -> None:
    wanted = policy(many(table.MOST_ENTRIES + 1), "wide: ingress[3]")
    with pytest.raises(table.PolicyMapFull, match=r"65537 entries .* can have 65536: wide: ingress\[3\] \(65537\)"):
        table.apply(small, wanted)


@pytest.mark.parametrize(("entries", "room"), [(0, 16384), (8192, 16384), (8193, 32768), (50000, 131072)])
def test_room(entries: int, room: int) -> None:
    assert table.room_for(entries) == room


@pytest.mark.parametrize(
    ("type", "sizes"), [(MapType.HASH, (3, 5)), (MapType.LPM_TRIE, (12, 24)), (MapType.PERCPU_HASH, (12, 8))]
)
def test_a_map_of_another_shape_is_neither_read_nor_written(bpffs: Path, type: MapType, sizes: tuple[int, int]) -> None:
    """A regeneration puts a new one in its place."""
    made(type, *sizes, bpffs / "policy")
    with pytest.raises(LayoutMismatch, match=f"a {type.name.lower()} of {sizes[0]}/{sizes[1]} bytes, not the lpm_trie"):
        table.policy_map(bpffs / "policy")
    assert not table.fits(bpffs / "policy", policy({WEB: ALLOW}))
