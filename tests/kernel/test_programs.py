"""Programs in the kernel: what is said of them, test runs, run-time statistics."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.program import Program, program_ids
from cilium_py.bpf.stats import RunTime, enable_stats, run_time

LENGTH = 60
MARK_AT, CB_AT = 8, 48


@pytest.fixture
def loaded(probe: Path, bpffs: Path) -> Iterator[BpfObject]:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.rodata.update(enabled=True, verdict=2, wide=5)
        opened.load()
        yield opened


def test_info(loaded: BpfObject) -> None:
    info = loaded.programs["decide"].info
    assert (info.name, info.type_name, info.run_cnt) == ("decide", "sched_cls", 0)
    assert info.verified_instructions > 20
    assert len(info.tag) == 16
    assert {loaded.maps[name].info.id for name in ("seen", "shared_pairs", "ring", "events")} < set(info.map_ids)
    assert set(loaded.programs["pass"].info.map_ids) < set(info.map_ids)
    assert info.id in set(program_ids())


def test_pins_and_ids(loaded: BpfObject, bpffs: Path) -> None:
    program = loaded.programs["decide"]
    program.pin(bpffs / "decide")
    with Program.open(bpffs / "decide") as pinned, Program.from_id(program.info.id) as same:
        assert pinned.info == same.info == program.info
    with pytest.raises(FileNotFoundError):
        Program.from_id(2**31 - 1)


def test_a_run_gives_packet_and_context(loaded: BpfObject) -> None:
    packet = bytes(range(LENGTH))
    run = loaded.programs["decide"].test_run(packet, ctx=bytes(MARK_AT) + struct.pack("=I", 41))
    assert (run.retval, run.data) == (2, packet)
    assert struct.unpack_from("=I", run.ctx, MARK_AT) == (42,)
    assert struct.unpack_from("=I", run.ctx, CB_AT) == (5,)
    assert loaded.programs["decide"].test_run(packet).ctx == b""


def test_a_negative_verdict(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.load()
        assert opened.programs["decide"].test_run(bytes(LENGTH)).retval == -1


def test_repetitions_are_counted_and_timed(loaded: BpfObject) -> None:
    run = loaded.programs["decide"].test_run(bytes(LENGTH), repeat=1000)
    assert run.duration_ns > 0
    assert loaded.maps["seen"].lookup(bytes(4)) == struct.pack("=Q", 1000)


def test_a_packet_that_the_kernel_does_not_take(loaded: BpfObject) -> None:
    with pytest.raises(OSError, match="bpf_prog_test_run_opts"):
        loaded.programs["decide"].test_run(b"short")


def test_xdp(loaded: BpfObject) -> None:
    assert loaded.programs["drop_frame"].test_run(bytes(LENGTH)).retval == 1


def test_run_time_statistics(loaded: BpfObject) -> None:
    program = loaded.programs["decide"]
    program.test_run(bytes(LENGTH))
    assert run_time(program) == RunTime(0, 0)
    with enable_stats():
        before = run_time(program)
        program.test_run(bytes(LENGTH), repeat=100)
        spent = run_time(program) - before
    assert spent.runs == 100
    assert 0 < spent.ns_per_run == spent.ns / 100
    assert RunTime(0, 0).ns_per_run == 0
