"""Many entries in one system call, and what happens where there is no such call."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, BPF_NOEXIST, MapType


def table(type: MapType = MapType.HASH, max_entries: int = 1000, value_size: int = 8) -> BpfMap:
    flags = BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0
    key_size = 8 if type is MapType.LPM_TRIE else 4
    return BpfMap.create(
        name="table", type=type, key_size=key_size, value_size=value_size, max_entries=max_entries, flags=flags
    )


def keys(numbers: range) -> bytes:
    return b"".join(struct.pack("=I", n) for n in numbers)


def values(numbers: range) -> bytes:
    return b"".join(struct.pack("=Q", n) for n in numbers)


@pytest.mark.parametrize("room", [1, 2, 7, 1000, 4096])
def test_every_room_reads_every_entry_once(room: int) -> None:
    """With room for one, every bucket that holds two answers ENOSPC and the buffer has to grow."""
    with table() as opened:
        assert opened.update_batch(keys(range(1000)), values(range(1000))) == 1000
        pairs, largest = [], 0
        for batch in opened.batches(room):
            assert (len(batch.keys), len(batch.values)) == (4 * batch.count, 8 * batch.count)
            pairs += list(batch.pairs())
            largest = max(largest, batch.count)
        assert len(pairs) == 1000
        assert dict(pairs) == {struct.pack("=I", n): struct.pack("=Q", n) for n in range(1000)}
        assert largest > 1


@pytest.mark.parametrize("room", [1, 3, 4096])
@pytest.mark.parametrize("type", [MapType.ARRAY, MapType.LPM_TRIE])
def test_walks_by_key(type: MapType, room: int) -> None:
    with table(type, 50) as opened:
        for n in range(50):
            key = struct.pack("=I", n) if type is MapType.ARRAY else struct.pack("=I", 32) + struct.pack(">I", n)
            opened.update(key, struct.pack("=Q", n))
        counts = [batch.count for batch in opened.batches(room)]
        assert sum(counts) == 50
        assert max(counts) == min(room, 50)


def test_an_empty_map_has_no_batches() -> None:
    with table() as opened:
        assert list(opened.batches()) == []
        assert list(opened.take_batches()) == []


def test_large_values_do_not_make_large_buffers() -> None:
    with table(MapType.ARRAY, 100, 1 << 20) as opened:
        assert [batch.count for batch in opened.batches()] == [4] * 25


def test_batches_are_views_of_one_buffer() -> None:
    with table(MapType.ARRAY, 9) as opened:
        opened.update_batch(keys(range(9)), values(range(9)))
        walk = opened.batches(3)
        first = next(walk)
        before = bytes(first.values)
        next(walk)
        assert (before, bytes(first.values)) == (values(range(3)), values(range(3, 6)))


def test_update_batch_says_where_it_stopped() -> None:
    with table(max_entries=10) as opened:
        assert opened.update_batch(b"", b"") == 0
        with pytest.raises(OSError, match="after 10 of 12 entries") as caught:
            opened.update_batch(keys(range(12)), values(range(12)))
        assert caught.value.errno == errno.E2BIG
        with pytest.raises(FileExistsError):
            opened.update_batch(keys(range(1)), values(range(1)), BPF_NOEXIST)


@pytest.mark.parametrize("type", [MapType.HASH, MapType.LRU_HASH, MapType.SOCKHASH])
def test_delete_batch_passes_over_what_is_not_there(type: MapType) -> None:
    with table(type, value_size=4 if type is MapType.SOCKHASH else 8) as opened:
        if type is not MapType.SOCKHASH:
            opened.update_batch(keys(range(0, 100, 2)), values(range(0, 100, 2)))
        assert opened.delete_batch(keys(range(100))) == (0 if type is MapType.SOCKHASH else 50)
        assert list(opened.keys()) == []


def test_a_type_without_batches_is_read_key_by_key(probe: Path, bpffs: Path) -> None:
    """A program array has no batches, and most of its slots are empty."""
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.load()
        program = opened.programs["pass"]
        with table(MapType.PROG_ARRAY, 300, 4) as calls:
            for slot in (1, 255):
                calls.update_fd(struct.pack("=I", slot), program)
            held = struct.pack("=I", program.info.id)
            assert dict(calls.entries()) == {struct.pack("=I", slot): held for slot in (1, 255)}
            assert len(list(calls.keys())) == 300
            assert calls.delete_batch(keys(range(300))) == 2
            assert list(calls.batches()) == []


def test_flush_of_a_trie_longer_than_a_batch() -> None:
    with table(MapType.LPM_TRIE, 20_000) as opened:
        octets = b"".join(struct.pack("=I", 32) + struct.pack(">I", n) for n in range(20_000))
        opened.update_batch(octets, values(range(20_000)))
        assert sum(batch.count for batch in opened.take_batches()) == 20_000
        assert list(opened.keys()) == []


@pytest.mark.parametrize("read", [BpfMap.entries, BpfMap.batches, BpfMap.take_batches, BpfMap.keys])
def test_a_closed_map_cannot_be_read(read: Callable[[BpfMap], object]) -> None:
    with table() as opened:
        pass
    with pytest.raises(ValueError, match="closed"):
        list(read(opened))  # type: ignore[call-overload]
