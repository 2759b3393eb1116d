"""The monitor on real rings: what a program sends comes out, in order, and what is lost is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.perf import PAGE, PerfReader, count, samples
from cilium_py.bpf.program import Program
from cilium_py.errors import CiliumPyError, LayoutMismatch, MapMissing
from cilium_py.libbpf.constants import MapType
from cilium_py.monitor.source import RingSource
from tests.unit.monitor.packets import SYN_PACKET, drop, ether, ipv4, tcp, trace, udp

ROOM = 64


@dataclass
class Emitter:
    """A program that sends what it is told, and where its map is pinned."""

    program: Program
    messages: BpfMap
    events: BpfMap
    globals: Path

    def emit(self, notification: bytes, packet: bytes = SYN_PACKET, times: int = 1) -> int:
        """Send a whole notification, head and packet; return what the helper said last."""
        head = notification[: len(notification) - len(packet)]
        assert notification.endswith(packet)
        self.messages.update(bytes(4), len(head).to_bytes(4, "little") + head.ljust(ROOM, b"\0"))
        return self.program.test_run(packet, repeat=times).retval


@pytest.fixture
def emitter(bpffs: Path, build: Callable[[str], Path]) -> Iterator[Emitter]:
    directory = bpffs / "tc/globals"
    directory.mkdir(parents=True)
    with BpfObject.open(build("events")) as loaded:
        loaded.load()
        events = loaded.maps["cilium_events"]
        events.pin(directory / "cilium_events")
        yield Emitter(loaded.programs["emit"], loaded.maps["messages"], events, directory)


def test_samples_come_out_whole_and_in_order(emitter: Emitter) -> None:
    with PerfReader(emitter.events, pages=8) as reader:
        assert not reader.wait(0)
        before = time.time_ns()
        for version in (0, 1, 2):
            assert emitter.emit(trace(version=version)) == 0
        blocks = reader.take()
        after = time.time_ns()
        found, lost = samples(blocks)
        assert sum(map(count, blocks)) == 3
    assert lost == 0
    assert [data[: len(trace(version=version))] for version, (_, _, data) in enumerate(found)] == [
        trace(version=version) for version in (0, 1, 2)
    ]
    assert [moment for moment, _, _ in found] == sorted(moment for moment, _, _ in found)
    assert before <= found[0][0] <= found[-1][0] <= after


def test_a_ring_goes_round(emitter: Emitter) -> None:
    with PerfReader(emitter.events, pages=1) as reader:
        for _ in range(3 * PAGE // len(trace())):
            assert emitter.emit(trace()) == 0
            [(_, _, data)], _ = samples(reader.take())
            assert data.startswith(trace())


def test_what_did_not_fit_is_counted(emitter: Emitter) -> None:
    sent = 10 * PAGE // len(trace())
    with PerfReader(emitter.events, pages=1) as reader:
        assert emitter.emit(trace(), times=sent) < 0
        first, said = samples(reader.take())
        assert len(first) + reader.lost() == sent
        assert said == 0
        emitter.emit(trace())
        second, said = samples(reader.take())
        assert (len(second), said) == (1, reader.lost())


def test_nothing_comes_after_stop(emitter: Emitter) -> None:
    with PerfReader(emitter.events, pages=1) as reader:
        reader.stop()
        assert emitter.emit(trace()) < 0
        assert reader.take() == []


def test_pages_are_a_power_of_two(emitter: Emitter) -> None:
    with pytest.raises(ValueError, match="power of two"):
        PerfReader(emitter.events, pages=3)


def test_source(emitter: Emitter) -> None:
    with RingSource.open(emitter.globals, pages=8) as source:
        emitter.emit(trace(), times=20)
        found = []
        while len(found) < 20:
            found += source.read(1.0)
        emitter.emit(drop(), times=2)
        source.stop()
        assert not source.ended
        assert len(source.read(0)) == 2
        assert source.ended
        assert source.losses == (0, 0)


def test_source_needs_its_map(bpffs: Path) -> None:
    with pytest.raises(MapMissing):
        RingSource.open(bpffs)
    with BpfMap.create(name="cilium_events", type=MapType.HASH, key_size=4, value_size=4, max_entries=1) as other:
        other.pin(bpffs / "cilium_events")
    with pytest.raises(LayoutMismatch, match="hash, not perf_event_array"):
        RingSource.open(bpffs)


class Run:
    """`cilium-py monitor` as a process, already listening, unless it failed."""

    def __init__(self, emitter: Emitter, *arguments: str, output: int = subprocess.PIPE) -> None:
        root = emitter.globals.parents[1]
        node = ["--bpf-root", root, "--state-dir", root / "none"]
        command = [sys.executable, "-m", "cilium_py", *node, "monitor", *arguments]
        # Unbuffered: what is not read here is still there at the end.
        self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, bufsize=0)
        assert self.process.stderr is not None
        self.header = self.process.stderr.readline().decode()
        if self.header.startswith("Listening"):
            assert self.process.stderr.readline() == b"Press Ctrl-C to quit\n"

    def end(self) -> tuple[int, list[str], str]:
        """(exit code, lines, the last words)."""
        try:
            out, err = self.process.communicate(timeout=30)
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, (out or b"").decode().splitlines(), err.decode()


def test_command(emitter: Emitter) -> None:
    run = Run(emitter, "-n", "--count", "2", "-t", "drop", "--not", "--port", "53")
    assert run.header.startswith("Listening for events on ")
    assert run.header.endswith("x4096 of shared memory\n")
    dns = ether(ipv4(udp(), 17))
    emitter.emit(drop(dns), dns)
    emitter.emit(trace())
    emitter.emit(drop(), times=2)
    code, lines, said = run.end()
    assert code == 0
    assert lines == 2 * [
        "xx drop (Policy denied) flow 0xabc to endpoint 0, ifindex 3, file bpf_lxc.c:99, , identity 256->2: "
        "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"
    ]
    assert said == "2 events shown of 4; lost: 0 in the kernel, 0 in the reader\n"


def test_ctrl_c_ends_it_with_what_was_read(emitter: Emitter) -> None:
    run = Run(emitter, "-j")
    emitter.emit(trace(), times=3)
    run.process.send_signal(signal.SIGINT)
    code, lines, said = run.end()
    assert (code, [json.loads(line)["type"] for line in lines]) == (0, ["trace"] * 3)
    assert said.startswith("3 events shown of 3;")


def test_a_closed_pipe_ends_it_silently(emitter: Emitter) -> None:
    reading, writing = os.pipe()
    run = Run(emitter, output=writing)
    os.close(writing)
    os.close(reading)
    emitter.emit(trace())
    code, _, said = run.end()
    assert (code, said) == (141, "")


def test_losses_are_said_and_counted(emitter: Emitter) -> None:
    run = Run(emitter, "-j", "--pages", "1", "--timeout", "2")
    sent = 1000
    emitter.emit(trace(), times=sent)
    code, lines, said = run.end()
    lost = int(said.splitlines()[-1].split("lost: ")[1].split()[0])
    assert code == 3
    assert lost > 0
    assert len(lines) + lost == sent


def test_counts_instead_of_events(emitter: Emitter) -> None:
    run = Run(emitter, "--since-start", "--count", "5")
    emitter.emit(drop(), times=3)
    emitter.emit(trace(point=0, to=12), times=2)
    code, lines, _ = run.end()
    assert code == 0
    assert [line.split() for line in lines] == [
        ["TYPE", "REASON", "WHERE", "EVENTS", "BYTES"],
        ["drop", "Policy", "denied", "bpf_lxc.c:99", "3", "3162"],
        ["trace", "new", "to-endpoint", "2", "2108"],
    ]


def test_only_the_last(emitter: Emitter) -> None:
    run = Run(emitter, "-n", "--last", "2", "--count", "4")
    for port in (81, 82, 83, 84):
        packet = ether(ipv4(tcp(destination=port), 6))
        emitter.emit(drop(packet), packet)
    _, lines, said = run.end()
    assert said.startswith("2 events shown of 4;")
    assert [line.split(" -> ")[1] for line in lines] == ["10.0.0.2:83 tcp SYN", "10.0.0.2:84 tcp SYN"]


def test_the_second_reader_is_told_of_the_first(emitter: Emitter) -> None:
    with RingSource.open(emitter.globals, pages=8):
        second = Run(emitter)
        code, _, hint = second.end()
        assert code == 1
        assert f"process {os.getpid()} (" in second.header
        assert "--take-over" in hint
        assert Run(emitter, "--take-over", "--timeout", "10ms").end()[0] == 0


def test_no_room_for_the_rings(emitter: Emitter) -> None:
    with pytest.raises(CiliumPyError, match="cilium_events: "):
        RingSource.open(emitter.globals, pages=1 << 24)


def test_an_unknown_form_is_shown_as_it_is(emitter: Emitter) -> None:
    run = Run(emitter, "--count", "1")
    emitter.emit(trace()[:14] + b"\x09\0" + trace()[16:])
    emitter.emit(drop())
    code, lines, said = run.end()
    assert code == 0
    assert "Unknown event: version 9 of type 4 is not known: 0405" in lines[0]
    assert "1 of an unknown form" in said
