"""A whole command while its table is torn about: what is there throughout is listed, once."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import ct

ROOM, STABLE, CHANGING = 200_000, 100_000, 40_000
"""An LRU hash begins to evict well before it is full."""
PROCESSES, RUNS = 2, 4
PORTION = 500
FORK = multiprocessing.get_context("fork")
VALUE = ct.Entry(packets=1, lifetime=99, flags=0x10).pack()


def key(number: int) -> bytes:
    return ct.Key4(
        daddr=(0x0A000000 + number).to_bytes(4), saddr=b"\x0a\1\0\1", dport=443, sport=1024, nexthdr=6
    ).pack()  # fmt: skip


def churn(opened: BpfMap, seed: int, rounds: object, stop: object) -> None:
    """Delete entries and put them back, thousands a second, never those that are to stay."""
    numbers = list(range(STABLE, STABLE + CHANGING))
    dice = random.Random(seed)
    while not stop.is_set():  # type: ignore[attr-defined]  # a multiprocessing Event
        some = b"".join(key(number) for number in dice.sample(numbers, PORTION))
        opened.delete_batch(some)
        opened.update_batch(some, VALUE * PORTION)
        with rounds.get_lock():  # type: ignore[attr-defined]  # a multiprocessing Value
            rounds.value += 1  # type: ignore[attr-defined]


@contextmanager
def churned(opened: BpfMap) -> Iterator[list[int]]:
    """Two processes at work; afterwards, how many entries they replaced."""
    rounds, stop = FORK.Value("L", 0), FORK.Event()
    workers = [FORK.Process(target=churn, args=(opened, seed, rounds, stop)) for seed in range(PROCESSES)]
    for worker in workers:
        worker.start()
    replaced: list[int] = []
    try:
        yield replaced
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    replaced.append(rounds.value * PORTION)


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_what_stays_is_listed_once(form: str, bpffs: Path) -> None:
    pins = bpffs / "tc/globals"
    pins.mkdir(parents=True)
    stable = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(STABLE)]
    with BpfMap.create(
        name="cilium_ct4_glob", type=MapType.LRU_HASH, key_size=14, value_size=56, max_entries=ROOM
    ) as opened:
        total = STABLE + CHANGING
        opened.update_batch(b"".join(map(key, range(total))), VALUE * total)
        opened.pin(pins / "cilium_ct4_global")
        assert all(opened.lookup(key(number)) for number in range(STABLE)), "evicted before anything began"
        with churned(opened) as replaced:
            for _ in range(RUNS):
                listed = subprocess.run(
                    [sys.executable, "-m", "cilium_py", "--bpf-root", str(bpffs), "bpf", "ct", "list", "-o", form],
                    capture_output=True, check=True, text=True,
                )  # fmt: skip
                assert not listed.stderr
                seen = Counter(map(source, listed.stdout.splitlines()))
                assert not [address for address in stable if seen[address] != 1]
                assert max(seen.values()) == 1
        assert replaced[0] > 20 * PORTION
    (pins / "cilium_ct4_global").unlink()


def source(line: str) -> str:
    if line.startswith("{"):
        address: str = json.loads(line)["source"]
        return address
    return line.split()[2].partition(":")[0]
