"""Maps that change while they are read: what was there throughout comes exactly once, or the walk says partial."""

from __future__ import annotations

import multiprocessing
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

import pytest

from cilium_py.bpf import walk
from cilium_py.bpf.map import BpfMap
from cilium_py.errors import Partial
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType

STABLE = range(20_000)
CHANGING = range(20_000, 30_000)
ROUNDS = 8

FORK = multiprocessing.get_context("fork")


def churn(opened: BpfMap, key: Callable[[int], bytes], started: Event, stop: Event) -> None:
    """Delete and insert again, until told to stop; never touch what is stable."""
    value = bytes(opened.value_room)
    numbers = list(CHANGING)
    while not stop.is_set():
        random.shuffle(numbers)
        for n in numbers[:500]:
            if not opened.delete(key(n)):
                opened.update(key(n), value)
        started.set()


@contextmanager
def churned(opened: BpfMap, key: Callable[[int], bytes], processes: int = 2) -> Iterator[None]:
    started, stop = FORK.Event(), FORK.Event()
    workers = [FORK.Process(target=churn, args=(opened, key, started, stop)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    try:
        assert started.wait(10)
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * processes


def hash_key(number: int) -> bytes:
    return struct.pack("=I", number)


def trie_key(number: int) -> bytes:
    return struct.pack("=I", 32) + struct.pack(">I", number * 7919 % (1 << 32))


def filled(type: MapType, key: Callable[[int], bytes]) -> BpfMap:
    opened = BpfMap.create(
        name="churned",
        type=type,
        key_size=len(key(0)),
        value_size=8,
        max_entries=100_000,
        flags=BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0,
    )
    numbers = (*STABLE, *CHANGING)
    opened.update_batch(b"".join(map(key, numbers)), bytes(opened.value_room * len(numbers)))
    return opened


CASES = [
    pytest.param(MapType.HASH, hash_key, id="hash"),
    pytest.param(MapType.LRU_HASH, hash_key, id="lru_hash"),
    pytest.param(MapType.LPM_TRIE, trie_key, id="lpm_trie"),
]


@pytest.mark.parametrize(("type", "key"), CASES)
def test_batches_neither_miss_nor_double(type: MapType, key: Callable[[int], bytes]) -> None:
    stable = {key(n) for n in STABLE}
    with filled(type, key) as opened, churned(opened, key):
        for _ in range(ROUNDS):
            seen = Counter(found for found, _ in opened.entries())
            assert stable <= seen.keys()
            assert max(seen.values()) == 1


@pytest.mark.parametrize(("type", "key"), CASES)
def test_key_by_key_ends_and_never_doubles(type: MapType, key: Callable[[int], bytes]) -> None:
    with filled(type, key) as opened, churned(opened, key):
        for read in (walk.keys, walk.entries):
            seen: Counter[object] = Counter()
            try:
                seen.update(read(opened))
            except Partial:
                continue
            finally:
                assert max(seen.values()) == 1
            assert len(seen) >= len(STABLE)


def small() -> BpfMap:
    opened = BpfMap.create(name="leaky", type=MapType.HASH, key_size=4, value_size=4, max_entries=64)
    opened.update_batch(b"".join(map(hash_key, range(64))), bytes(4 * 64))
    return opened


def test_one_key_deleted_under_the_walk_is_said() -> None:
    with small() as opened:
        read = []

        def delete_the_second() -> None:
            for key in walk.keys(opened):
                read.append(key)
                if len(read) == 2:
                    opened.delete(key)

        with pytest.raises(Partial, match="leaky"):
            delete_the_second()
        assert sorted(read) == sorted(map(hash_key, range(64)))


def test_a_walk_that_always_begins_again_gives_up() -> None:
    with small() as opened:
        read: list[bytes] = []

        def delete_each_for_a_step() -> None:
            for key in walk.keys(opened):
                opened.delete(key)
                for earlier in read:
                    opened.update(earlier, bytes(4))
                read.append(key)

        with pytest.raises(Partial, match="leaky"):
            delete_each_for_a_step()
        assert 2 < len(read) < 64
        assert len(read) == len(set(read))


@pytest.mark.parametrize(("type", "key"), CASES)
def test_flush_under_churn_ends_and_takes_what_was_there(type: MapType, key: Callable[[int], bytes]) -> None:
    with filled(type, key) as opened:
        with churned(opened, key):
            taken = Counter(found for batch in opened.take_batches() for found, _ in batch.pairs())
        left = set(opened.keys())
        assert all(taken[key(n)] == 1 for n in STABLE)
        assert left <= {key(n) for n in CHANGING}
