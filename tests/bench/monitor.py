"""The monitor: events a second that it reads, decodes and writes without losing one, and what one costs."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.bpf.program import Program
from cilium_py.net import libc
from tests.bench.measure import table

TITLE = "Monitor: events a second"
SOURCE = Path(__file__).resolve().parents[1] / "kernel/objects/events.bpf.c"

RATE = 100_000
SECONDS = 4.0
FLOWS, MANY_FLOWS = 64, 400_000
STEP = 0.001
"""Seconds between two portions of events."""

# A SYN of 54 bytes, and the head of a trace of it: struct trace_notify, version 1.
SYN = bytes.fromhex(
    "020a000001fe020a0000010b08004500002812344000400610f60ac8010b0ac8010c9c410050000003e8000000005002faf0fcd10000"
)
TRACE = struct.pack("=BBHIIHHIIHBBI16s", 4, 0, 11, 7, len(SYN), len(SYN), 1, 256, 257, 12, 0, 0, 5, bytes(16))
SOURCE_PORT_AT, SEQUENCE_AT = 34, 38


class Figures(NamedTuple):
    """Of one run: what was sent, what came out, what was lost, CPU time of the reader, how long it read on after the
    last event was sent."""

    rate: float
    sent: int
    lines: int
    lost: int
    cpu: float
    behind: float


def run() -> str:
    with tempfile.TemporaryDirectory() as directory:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", Path("/"), flags=libc.MS_REC | libc.MS_PRIVATE)
        root = Path(directory) / "bpf"
        mount_bpffs(root)
        try:
            with _loaded(Path(directory), root):
                rows = [
                    ("JSON, 64 flows", *_row(measure(root, RATE, FLOWS, "-j"))),
                    ("JSON, every event a new flow", *_row(measure(root, RATE, MANY_FLOWS, "-j"))),
                    ("JSON, 64 flows", *_row(measure(root, 2 * RATE, FLOWS, "-j"))),
                    ("text, 64 flows", *_row(measure(root, RATE, FLOWS))),
                    ("JSON of one port in 64", *_row(measure(root, RATE, FLOWS, "-j", "--port", "1024"))),
                    ("counts only", *_row(measure(root, RATE, FLOWS, "--since-start"))),
                ]
        finally:
            libc.unmount(root)
    titles = ("output to a file", "events/s", "events", "lines", "lost", "CPU us an event", "seconds behind at the end")
    return (
        "A BPF program on one CPU sends trace notifications of 54-byte TCP packets for "
        f"{SECONDS:.0f} s; `cilium-py monitor` reads them on another. What it cannot write at once waits in its "
        f"memory; nothing waits for long below 10 us an event.\n\n{table(titles, rows)}"
    )


def _row(figures: Figures) -> tuple[object, ...]:
    each = figures.cpu / max(figures.sent, 1) * 1e6
    return round(figures.rate), figures.sent, figures.lines, figures.lost, each, figures.behind


def _loaded(directory: Path, root: Path) -> BpfObject:
    clang = shutil.which("clang-19") or shutil.which("clang")
    if clang is None:
        raise FileNotFoundError("clang")
    target = directory / "events.o"
    include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
    subprocess.run([clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", include, "-c", SOURCE, "-o", target], check=True)
    loaded = BpfObject.open(target)
    loaded.load()
    pins = root / "tc/globals"
    pins.mkdir(parents=True)
    loaded.maps["cilium_events"].pin(pins / "cilium_events")
    loaded.maps["messages"].update(bytes(4), struct.pack("=I64s", len(TRACE), TRACE))
    loaded.programs["emit"].pin(root / "emit")
    return loaded


def measure(root: Path, rate: int, flows: int, *arguments: str) -> Figures:
    """One run of the command beside one of the emitter."""
    python = [sys.executable, "-m"]
    node = ["--bpf-root", str(root), "--state-dir", str(root / "none")]
    before = os.times()
    with tempfile.TemporaryFile() as output:
        reader = subprocess.Popen(
            [*python, "cilium_py", *node, "monitor", *arguments], stdout=output, stderr=subprocess.PIPE, bufsize=0
        )
        assert reader.stderr is not None
        reader.stderr.readline()
        emitter = subprocess.run(
            [*python, "tests.bench.monitor", str(root / "emit"), str(rate), str(flows)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        sent, seconds, emitter_cpu = emitter.stdout.split()
        reader.terminate()
        ended = time.monotonic()
        said = reader.communicate()[1].decode()
        behind = time.monotonic() - ended
        output.seek(0)
        lines = sum(1 for _ in output)
    after = os.times()
    children = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    lost = sum(int(word) for word in said.rpartition("lost:")[2].split() if word.isdecimal())
    return Figures(int(sent) / float(seconds), int(sent), lines, lost, children - float(emitter_cpu), behind)


def emit(pin: Path, rate: int, flows: int) -> None:
    """Send events at a rate and print how many, in how many seconds, and the CPU time of this process."""
    packets = []
    for flow in range(flows):
        packet = bytearray(SYN)
        struct.pack_into(">HH", packet, SOURCE_PORT_AT, 1024 + flow % 64000, 80 + flow // 64000)
        packets.append(bytes(packet))
    # With few flows their packets come in rows; with many, each event is the first of its flow.
    row = 1 if flows > FLOWS else max(1, round(rate * STEP) // 8)
    with Program.open(pin) as program:
        start, sent, turn = time.monotonic(), 0, 0
        while (now := time.monotonic()) - start < SECONDS:
            due = round((now - start) * rate)
            while sent < due:
                times = min(row, due - sent)
                program.test_run(packets[turn % flows], repeat=times)
                sent, turn = sent + times, turn + 1
            time.sleep(STEP)
        seconds = time.monotonic() - start
    print(sent, seconds, sum(os.times()[:2]))


if __name__ == "__main__":
    emit(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
