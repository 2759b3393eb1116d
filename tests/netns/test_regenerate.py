"""A regeneration is never seen by a packet, and can be cut short at any moment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from cilium_py.bpf.link import Link
from cilium_py.bpf.map import BpfMap
from cilium_py.endpoint import history, states, status, store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.errors import CiliumPyError, RegenerationFailed
from cilium_py.lab import Lab, command
from cilium_py.loader import state, template
from cilium_py.node.config import NodeConfig
from tests.netns.conftest import LONG, cilium_on, running
from tests.netns.traffic import Stream, ping, tcp

PHASES = ("waitingForLock", "policyCalculation", "prepareBuild", "bpfWaitForELF", "bpfLoadProg", "mapSync")
CYCLES = 100 if LONG else 8

DYING = """
import os, sys
from pathlib import Path
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.loader.phases import Phases
from cilium_py.paths import NodePaths

def cut(name, seconds):
    if name == sys.argv[3]:
        os.kill(os.getpid(), 9)

regenerate(NodePaths(Path(sys.argv[1]), Path(sys.argv[2])), 1, Build(phases=Phases(cut)))
"""

OPTIONS: list[dict[str, int]] = [
    {"Debug": 1},
    {"DropNotification": 0, "TraceNotification": 0},
    {"MonitorAggregationLevel": 3},
    {"PolicyVerdictNotification": 0, "ConntrackAccounting": 0},
    {"Debug": 0, "DropNotification": 1, "TraceNotification": 1, "MonitorAggregationLevel": 0},
    {"PolicyVerdictNotification": 1, "ConntrackAccounting": 1},
]


@pytest.fixture(scope="module", params=["tcx", "tc"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One node with two pods, by each way of attaching programs."""
    yield from running(request.param)


def assert_clean(lab: Lab, endpoint_id: int) -> None:
    """Nothing temporary is left of the endpoint, and it is ready."""
    paths = lab.paths("node1")
    endpoint = store.load(paths, endpoint_id)
    assert status.state_of(paths, NodeConfig.load(paths), endpoint) == states.READY
    assert not paths.endpoint_next(endpoint_id).exists()
    assert [pin.name for pin in paths.globals.glob(f"cilium_calls_{endpoint_id:05d}*")] == [
        f"cilium_calls_{endpoint_id:05d}"
    ]
    assert len(list(paths.templates.iterdir())) <= 2
    assert not list(paths.state_dir.rglob(".*"))


@contextmanager
def traffic(lab: Lab) -> Iterator[None]:
    """Numbered datagrams, a TCP connection that never pauses, and a flood of pings, of which nothing may be lost."""
    flood = command.spawn(lab, "pod1", ["ping", "-f", "-n", "-q", "pod2"])
    stop = False

    def transfers() -> bool:
        while not stop:
            if not tcp(lab, "pod1", "pod2", size=4_000_000):
                return False
        return True

    try:
        with ThreadPoolExecutor(1) as pool, Stream(lab, "pod1", "pod2") as stream:
            transfer = pool.submit(transfers)
            try:
                yield
            finally:
                stop = True
            assert transfer.result()
    finally:
        flood.send_signal(signal.SIGINT)
        said, _ = flood.communicate(timeout=10)
    assert stream.sent > 100
    assert stream.lost == []
    counted = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert counted is not None
    assert counted[1] == counted[2] != "0"


def test_no_packet_is_lost(lab: Lab) -> None:
    """Neither by regenerations, nor by options that come and go with them."""
    paths, options = lab.paths("node1"), cycle(OPTIONS)
    with traffic(lab):
        for number in range(CYCLES):
            changes = next(options)
            endpoint = regenerate(paths, 1 + number % 2, Build(options=changes))
            assert changes.items() <= endpoint.options.items()
    for endpoint_id in (1, 2):
        regenerate(paths, endpoint_id, Build(options={**OPTIONS[4], **OPTIONS[5]}))
        assert_clean(lab, endpoint_id)


def test_programs_are_really_new(lab: Lab) -> None:
    """The policy program, which others call by the endpoint's id, and with tcx the one that the link leads to."""
    before = programs(lab)
    regenerate(lab.paths("node1"), 1)
    assert all(old != new for old, new in zip(before, programs(lab), strict=True))


def programs(lab: Lab) -> list[int]:
    paths = lab.paths("node1")
    with BpfMap.open(paths.globals / "cilium_call_policy") as calls:
        found = [int.from_bytes(calls.lookup((1).to_bytes(4, "little")) or b"", "little")]
    for pin in paths.endpoint_links(1).glob("*"):
        with Link.open(pin) as link:
            found.append(link.info.program_id)
    assert len(found) == (3 if lab.attach == "auto" else 1)
    return found


def test_killed_at_any_moment(lab: Lab) -> None:
    """Traffic goes on, and the next run finds its way."""
    delays = [n / 400 for n in range(0, 80, 1 if LONG else 8)]
    with Stream(lab, "pod1", "pod2") as stream:
        for delay in delays:
            victim = subprocess.Popen(
                [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "1"],
                env={**os.environ, **command.environment(lab, "node1")},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(0.05 + delay)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
    assert stream.lost == []
    assert regenerate(lab.paths("node1"), 1).id == 1
    assert_clean(lab, 1)
    assert ping(lab, "pod1", "pod2")


def test_killed_after_each_phase(lab: Lab) -> None:
    """What a phase leaves behind is what the next run starts from."""
    paths = lab.paths("node1")
    with Stream(lab, "pod1", "pod2") as stream:
        for phase in PHASES:
            die_after(lab, phase)
            shown = status.state_of(paths, NodeConfig.load(paths), store.load(paths, 1))
            assert shown == states.READY, phase
            assert regenerate(paths, 1).id == 1
            assert_clean(lab, 1)
    assert stream.lost == []


def die_after(lab: Lab, phase: str) -> None:
    """Regenerate in a process that is killed at the end of a phase."""
    paths = lab.paths("node1")
    arguments = [sys.executable, "-c", DYING, str(paths.bpf_root), str(paths.state_dir), phase]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL


def test_two_at_once_take_turns(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: regenerate(lab.paths("node1"), 1), range(6)))
    assert [endpoint.id for endpoint in made] == [1] * 6
    assert_clean(lab, 1)


def test_who_waits_says_so_and_may_give_up(lab: Lab) -> None:
    paths = lab.paths("node1")
    endpoint, node = store.load(paths, 2), NodeConfig.load(paths)
    with state.locked(store.lock_of(paths, 2)):
        with pytest.raises(RegenerationFailed, match=r"another process has the lock for more than 0\.1 s"):
            regenerate(paths, 2, Build(patience=0.1))
        assert status.state_of(paths, node, endpoint) == states.WAITING_TO_REGENERATE
        assert ping(lab, "pod1", "pod2", count=1)
    regenerate(paths, 2)
    assert_clean(lab, 2)


def test_broken_object_changes_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = lab.paths("node1")
    broken = tmp_path / "bpf_lxc.o"
    broken.write_bytes(template.prebuilt_object().read_bytes()[:4000])
    monkeypatch.setattr(template, "prebuilt_object", lambda: broken)
    with pytest.raises(RegenerationFailed):
        regenerate(paths, 1)
    assert paths.endpoint_failed(1).is_dir()
    assert paths.endpoint(1).is_dir()
    assert ping(lab, "pod1", "pod2")
    assert status.state_of(paths, NodeConfig.load(paths), store.load(paths, 1)) == states.NOT_READY
    assert history.entries(paths, 1)[-1][1:4] == ("Failure", "BPF", "ready")
    monkeypatch.undo()
    regenerate(paths, 1)
    assert not paths.endpoint_failed(1).exists()
    assert_clean(lab, 1)


def test_missing_endpoint_is_an_error(lab: Lab) -> None:
    with pytest.raises(CiliumPyError, match="no such endpoint"):
        regenerate(lab.paths("node1"), 77, Build())


def test_command_tells_each_phase(lab: Lab) -> None:
    done = cilium_on(lab, "node1")("endpoint", "regenerate", "1")
    assert [line.split()[2] for line in done.stdout.splitlines()[:-1]] == [*PHASES, "total"]
    assert done.stdout.endswith("Endpoint 1 successfully regenerated\n")
