"""Live views of real maps: watches that outlive them, groups in terminals of all sorts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.maps import ct
from cilium_py.schema.text import parse_ip
from tests.kernel.flows import CLIENT, CT, FLOWS, OTHER, SEEN, UDP, Flow, make
from tests.terminal import Terminal


def command(bpffs: Path, *words: str) -> list[str]:
    return [
        sys.executable, "-m", "cilium_py", "--bpf-root", str(bpffs), "--state-dir", str(bpffs / "state"), "bpf", *words,
    ]  # fmt: skip


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it comes true in that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Watch:
    """A watch that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    def events(self, port: int) -> list[dict[str, Any]]:
        lines = self._out.read_text().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event for event in events if event["destination_port"] == port]

    @property
    def remarks(self) -> str:
        return self._err.read_text()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=10)


@contextmanager
def watching(bpffs: Path, flows: BpfMap, directory: Path) -> Iterator[Watch]:
    """A watch of TCP connections that has looked once."""
    out, err = directory / "out", directory / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        words = command(bpffs, "ct", "watch", "--proto", "tcp", "--interval", "50ms")
        process = subprocess.Popen(words, stdout=stdout, stderr=stderr)
    watch = Watch(process, out, err)
    try:
        # Until it has looked once, what comes is nothing new.
        for port in range(1000, 1100):
            flows.update(Flow(OTHER, port).key(), Flow(OTHER, port).value())
            if eventually(lambda port=port: bool(watch.events(port)), 0.2):
                break
        yield watch
    finally:
        process.kill()
        process.wait()


def test_watching(bpffs: Path, flows: BpfMap, tmp_path: Path) -> None:
    """Entries that come, go and change are said; a counter is no change. Ctrl-C ends it well."""
    with watching(bpffs, flows, tmp_path) as watch:
        new = Flow(OTHER, 22)
        flows.update(new.key(), new.value())
        assert eventually(lambda: len(watch.events(22)) == 1)
        flows.update(new.key(), new._replace(size=999).value())
        time.sleep(0.2)
        flows.update(new.key(), new._replace(flags=SEEN | 2, size=999).value())
        assert eventually(lambda: len(watch.events(22)) == 2)
        flows.delete(Flow(CLIENT, 53, UDP).key())
        flows.delete(new.key())
        assert eventually(lambda: len(watch.events(22)) == 3)
        assert (watch.end(), watch.remarks) == (0, "")
        assert [event["event"] for event in watch.events(22)] == ["new", "changed", "gone"]
        assert watch.events(22)[1]["before"] == {"flags": SEEN, "flag_names": ["SeenNonSyn"]}


def test_a_watch_outlives_its_map(bpffs: Path, pins: Path, flows: BpfMap, tmp_path: Path) -> None:
    """What was in it goes, and what the next one of its name has comes."""
    with watching(bpffs, flows, tmp_path) as watch:
        (pins / CT).unlink()
        assert eventually(lambda: len(watch.events(443)) == 2)
        assert eventually(lambda: "no such map; waiting for it" in watch.remarks)
        with make(pins, CT, ct.Key4.size, ct.Entry.size) as anew:
            anew.update(FLOWS[0].key(), FLOWS[0].value())
            assert eventually(lambda: len(watch.events(443)) == 3)
            assert watch.end() == 0
        assert [event["event"] for event in watch.events(443)] == ["gone", "gone", "new"]
        assert len(watch.remarks.splitlines()) == 1


@pytest.mark.usefixtures("flows")
def test_a_watch_ends_when_nobody_reads_it(bpffs: Path) -> None:
    """Without an entry that changes, too."""
    watch = subprocess.Popen(
        command(bpffs, "ct", "watch", "--interval", "1h"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert watch.stdout is not None
    watch.stdout.close()
    try:
        assert (watch.wait(timeout=20), watch.communicate()[1]) == (141, b"")
    finally:
        watch.kill()
        watch.wait()


@pytest.fixture
def many(flows: BpfMap) -> None:
    for number in range(200):
        flow = Flow(parse_ip(f"10.9.0.{number}"), 443, size=number)
        flows.update(flow.key(), flow.value())


TOP = ("ct", "top", "--interval", "200ms")


@pytest.mark.usefixtures("many")
def test_a_live_view_in_a_small_terminal(bpffs: Path, terminal: Callable[..., Terminal]) -> None:
    """At 80x24 under tmux: sorted anew by a key, never scrolled, the terminal given back at Ctrl-C."""
    shown = terminal()
    shown.type(*command(bpffs, *TOP))
    screen = shown.shows("most bytes first", "q quit")
    lines = screen.splitlines()
    assert len(lines) <= 24
    assert "205 entries in 202 groups" in lines[0]
    assert lines[3].split()[:2] == ["10.0.0.1", "3"]
    shown.press("s")
    shown.shows("most packets/s first")
    shown.press("r")
    shown.shows("least packets/s first")
    shown.press("C-c")
    assert "q quit" not in shown.shows("ended 0")
    assert shown.is_given_back


@pytest.mark.usefixtures("many")
def test_a_live_view_is_drawn_anew_when_its_terminal_changes(bpffs: Path, terminal: Callable[..., Terminal]) -> None:
    """At once, not only at the next look; in a tiny one too, and after having been suspended."""
    shown = terminal(20, 5)
    shown.type(*command(bpffs, "ct", "top", "--interval", "1h"))
    shown.shows("SOURCE", "s sort")
    shown.tmux("resize-window", "-x", "100", "-y", "30")
    shown.shows("205 entries in 202 groups, most bytes first", "BYTES/S", "q quit")
    shown.press("C-z")
    shown.shows("ready>", "ended 148")
    assert shown.is_given_back
    shown.type("fg")
    shown.shows("205 entries in 202 groups", "q quit")
    shown.press("q")
    shown.shows("ended 0")
    assert shown.is_given_back


@pytest.mark.usefixtures("many")
def test_a_live_view_that_is_killed_gives_its_terminal_back(bpffs: Path, terminal: Callable[..., Terminal]) -> None:
    shown = terminal()
    shown.type(*command(bpffs, *TOP))
    shown.shows("most bytes first")
    shown.press("C-\\")
    shown.shows("ended 131")
    assert shown.is_given_back


@pytest.mark.usefixtures("many")
def test_a_terminal_that_cannot_be_drawn_on_gets_one_table_after_another(
    bpffs: Path, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal(term="dumb")
    shown.type(*command(bpffs, *TOP, "--limit", "2"))
    shown.shows("10.0.0.2 ")
    assert shown.is_given_back
    shown.press("C-c")
    shown.shows("ended 0")
