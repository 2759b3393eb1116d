"""One entry at a time, and the shapes of values: every map type a node uses."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import pytest

from cilium_py.bpf.map import BpfMap, map_ids
from cilium_py.errors import WrongSize
from cilium_py.libbpf.constants import BPF_EXIST, BPF_F_NO_PREALLOC, BPF_NOEXIST, MapType
from cilium_py.libbpf.library import possible_cpus


class Shape(NamedTuple):
    type: MapType
    key_size: int = 4
    value_size: int = 12
    flags: int = 0
    indexed: bool = False

    def create(self, max_entries: int = 64) -> BpfMap:
        return BpfMap.create(
            name=self.type.name.lower(),
            type=self.type,
            key_size=self.key_size,
            value_size=self.value_size,
            max_entries=max_entries,
            flags=self.flags,
        )

    def key(self, number: int) -> bytes:
        if self.type is MapType.LPM_TRIE:
            return struct.pack("=I", 32) + struct.pack(">I", number)
        return struct.pack("=I", number)


SHAPES = [
    Shape(MapType.HASH),
    Shape(MapType.HASH, flags=BPF_F_NO_PREALLOC),
    Shape(MapType.LRU_HASH),
    Shape(MapType.PERCPU_HASH),
    Shape(MapType.LRU_PERCPU_HASH, value_size=3),
    Shape(MapType.LPM_TRIE, key_size=8, flags=BPF_F_NO_PREALLOC),
    Shape(MapType.ARRAY, indexed=True),
    Shape(MapType.PERCPU_ARRAY, indexed=True),
]


def shape_name(shape: Shape) -> str:
    return f"{shape.type.name}-{shape.flags}"


each_shape = pytest.mark.parametrize("shape", SHAPES, ids=shape_name)
each_that_deletes = pytest.mark.parametrize("shape", [s for s in SHAPES if not s.indexed], ids=shape_name)


def value_of(opened: BpfMap, number: int) -> bytes:
    slot = bytes([number % 256]) * opened.info.value_size
    return slot.ljust(opened.slot_room, b"\0") * (opened.value_room // opened.slot_room)


@each_shape
def test_entries_come_back_as_written(shape: Shape) -> None:
    with shape.create() as opened:
        written = {shape.key(n): value_of(opened, n) for n in range(8)}
        for key, value in written.items():
            opened.update(key, value)
        read = dict(opened.entries())
        assert read == written | {shape.key(n): value_of(opened, 0) for n in range(8, 64) if shape.indexed}
        assert sorted(opened.keys()) == sorted(read)
        assert {key: opened.lookup(key) for key in written} == written


@each_that_deletes
def test_delete_says_whether_there_was_one(shape: Shape) -> None:
    with shape.create() as opened:
        opened.update(shape.key(1), value_of(opened, 1))
        assert opened.delete(shape.key(1))
        assert not opened.delete(shape.key(1))
        assert opened.lookup(shape.key(1)) is None
        assert list(opened.entries()) == []
        assert list(opened.keys()) == []


def test_an_array_refuses_delete() -> None:
    with Shape(MapType.ARRAY).create() as opened:
        for refused in (lambda: opened.delete(bytes(4)), lambda: list(opened.take_batches())):
            with pytest.raises(OSError, match="Invalid argument"):
                refused()


@each_that_deletes
def test_take_leaves_nothing(shape: Shape) -> None:
    with shape.create() as opened:
        for n in range(40):
            opened.update(shape.key(n), value_of(opened, n))
        taken = [pair for batch in opened.take_batches() for pair in batch.pairs()]
        assert dict(taken) == {shape.key(n): value_of(opened, n) for n in range(40)}
        assert len(taken) == 40
        assert list(opened.keys()) == []


def test_a_per_cpu_value_has_a_padded_slot_for_each_possible_cpu() -> None:
    with Shape(MapType.PERCPU_ARRAY, value_size=12).create(1) as opened:
        assert (opened.slot_room, opened.value_room) == (16, 16 * possible_cpus())
        values = [struct.pack("=III", cpu, 2, 3) for cpu in range(possible_cpus())]
        opened.update_percpu(bytes(4), values)
        assert opened.lookup_percpu(bytes(4)) == values
        [(_, whole)] = opened.entries()
        assert opened.split(whole) == values


def test_update_flags() -> None:
    with Shape(MapType.HASH).create() as opened:
        with pytest.raises(FileNotFoundError, match="bpf_map_update_elem"):
            opened.update(bytes(4), bytes(12), BPF_EXIST)
        opened.update(bytes(4), bytes(12), BPF_NOEXIST)
        with pytest.raises(FileExistsError):
            opened.update(bytes(4), bytes(12), BPF_NOEXIST)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.lookup(bytes(3)),
        lambda m: m.delete(bytes(5)),
        lambda m: m.update(bytes(4), bytes(11)),
        lambda m: m.update(bytes(3), bytes(12)),
        lambda m: m.update_batch(bytes(7), bytes(12)),
        lambda m: m.update_batch(bytes(8), bytes(12)),
        lambda m: m.delete_batch(bytes(9)),
    ],
)
def test_octets_of_the_wrong_length_never_reach_the_kernel(call) -> None:  # type: ignore[no-untyped-def]
    """Which is no traceback either, where the map is not the one that a command takes it for."""
    with Shape(MapType.HASH).create() as opened, pytest.raises(WrongSize, match="hash: "):
        call(opened)


def test_any_octets_will_do() -> None:
    with Shape(MapType.HASH).create() as opened:
        opened.update(memoryview(b"abcd"), bytearray(12))
        assert opened.lookup(bytearray(b"abcd")) == bytes(12)


@pytest.mark.parametrize("type", [MapType.HASH_OF_MAPS, MapType.ARRAY_OF_MAPS])
def test_map_of_maps(type: MapType) -> None:
    with (
        Shape(MapType.HASH).create() as model,
        Shape(MapType.HASH).create() as held,
        BpfMap.create(name="outer", type=type, key_size=4, value_size=4, max_entries=4, inner=model) as outer,
    ):
        held.update(bytes(4), b"inner value.")
        outer.update_fd(struct.pack("=I", 2), held)
        found = outer.inner(struct.pack("=I", 2))
        assert found is not None
        with found:
            assert found.info.id == held.info.id
            assert dict(found.entries()) == {bytes(4): b"inner value."}
        assert outer.inner(struct.pack("=I", 1)) is None
        assert dict(outer.entries()) == {struct.pack("=I", 2): struct.pack("=I", held.info.id)}


def test_info_and_ids() -> None:
    with Shape(MapType.LRU_HASH, value_size=20).create(1000) as opened:
        info = opened.info
        assert (info.type_name, info.key_size, info.value_size, info.max_entries) == ("lru_hash", 4, 20, 1000)
        assert (info.name, info.btf_id) == ("lru_hash", 0)
        assert info.id in set(map_ids())
        with BpfMap.from_id(info.id) as same:
            assert same.info == info


def test_a_name_longer_than_the_kernel_keeps(bpffs: Path) -> None:
    with BpfMap.create(
        name="cilium_ct_any4_global", type=MapType.HASH, key_size=4, value_size=4, max_entries=1
    ) as made:
        made.pin(bpffs / "cilium_ct_any4_global")
        assert made.info.name == "cilium_ct_any4_"
