"""Records from programs, through ring and perf buffers."""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.ring import PerfBuffer, RingBuffer

RECORD = 36
"""Four words as the kernel hands them out: a record and its own length are padded to eight bytes together."""


@pytest.fixture
def loaded(probe: Path, bpffs: Path) -> Iterator[BpfObject]:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.load()
        yield opened


def send(loaded: BpfObject, *lengths: int) -> None:
    for length in lengths:
        loaded.programs["decide"].test_run(bytes(length))


def test_ring_records_come_in_order(loaded: BpfObject) -> None:
    got: list[bytes] = []
    with RingBuffer(loaded.maps["ring"], got.append) as ring:
        assert ring.poll(0) == 0
        send(loaded, 60, 70, 80)
        assert ring.poll(1000) == 3
        assert got == [struct.pack("=I", length) for length in (60, 70, 80)]
        send(loaded, 90)
        assert select.select([ring], [], [], 1)[0] == [ring]
        assert ring.consume() == 1


def test_perf_records_come_with_their_cpu(loaded: BpfObject) -> None:
    got: list[tuple[int, bytes]] = []
    with PerfBuffer(loaded.maps["events"], lambda cpu, record: got.append((cpu, record))) as perf:
        send(loaded, 60, 70)
        assert perf.poll(1000) == 2
    assert sorted(struct.unpack_from("=Q", record)[0] for _, record in got) == [60, 70]
    assert {len(record) for _, record in got} == {RECORD}


def test_perf_says_what_was_lost(loaded: BpfObject) -> None:
    """A page holds 85 records of 48 bytes; the kernel tells of a loss with the next record that fits."""
    got: list[bytes] = []
    said: list[int] = []
    sent = 500
    with PerfBuffer(
        loaded.maps["events"],
        lambda _, record: got.append(record),
        pages=1,
        on_lost=lambda _, count: said.append(count),
    ) as perf:
        loaded.programs["decide"].test_run(bytes(60), repeat=sent)
        perf.consume()
        assert len(got) < sent
        # Once on every CPU, as it is not known which one ran the program.
        deadline = time.monotonic() + 10
        more = 0
        while len(got) + perf.lost < sent + more and time.monotonic() < deadline:
            send(loaded, 60)
            more += 1
            perf.consume()
        assert len(got) + perf.lost == sent + more
    assert sum(said) == perf.lost > 0


@pytest.mark.parametrize("kind", ["ring", "perf"])
def test_an_exception_of_the_callback_comes_out_of_poll(loaded: BpfObject, kind: str) -> None:
    calls = []

    def fail(*arguments: object) -> None:
        calls.append(arguments)
        raise LookupError("not mine")

    with RingBuffer(loaded.maps["ring"], fail) if kind == "ring" else PerfBuffer(loaded.maps["events"], fail) as it:
        send(loaded, 60, 60)
        with pytest.raises(LookupError, match="not mine"):
            it.poll(1000)
        assert len(calls) == 1


def test_closing(loaded: BpfObject) -> None:
    ring = RingBuffer(loaded.maps["ring"], print)
    ring.close()
    ring.close()
    for use in (ring.poll, ring.consume, ring.fileno):
        with pytest.raises(ValueError, match="RingBuffer is closed"):
            use()


def test_a_map_of_another_type(loaded: BpfObject) -> None:
    with pytest.raises(OSError, match="ring_buffer__new"):
        RingBuffer(loaded.maps["seen"], print)
    with pytest.raises(OSError, match="perf_buffer__new"):
        PerfBuffer(loaded.maps["seen"], print)
