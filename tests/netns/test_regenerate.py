"""A regeneration is never seen by a packet, and can be cut short at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cilium_py.bpf.link import Link
from cilium_py.bpf.map import BpfMap
from cilium_py.endpoint import states, status, store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.errors import CiliumPyError, RegenerationFailed
from cilium_py.lab import Lab, command
from cilium_py.loader import template
from cilium_py.node.config import NodeConfig
from tests.netns.conftest import cilium_on, running
from tests.netns.traffic import Stream, ping, tcp


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


def test_no_packet_is_lost(lab: Lab) -> None:
    with Stream(lab, "pod1", "pod2") as stream:
        for _ in range(20):
            regenerate(lab.paths("node1"), 1)
            regenerate(lab.paths("node1"), 2)
    assert stream.sent > 500
    assert stream.lost == []
    assert_clean(lab, 1)


def test_tcp_stream_survives(lab: Lab) -> None:
    with ThreadPoolExecutor() as pool:
        transfer = pool.submit(tcp, lab, "pod1", "pod2", size=20_000_000)
        while not transfer.done():
            regenerate(lab.paths("node1"), 2)
    assert transfer.result()


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


@pytest.mark.parametrize("delay", [n / 100 for n in range(2, 20, 2)])
def test_killed_at_any_moment(lab: Lab, delay: float) -> None:
    """Traffic goes on, and the next run finds its way."""
    with Stream(lab, "pod1", "pod2") as stream:
        victim = subprocess.Popen(
            [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "1"],
            env={**os.environ, **command.environment(lab, "node1")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        time.sleep(0.05)
    assert stream.lost == []
    assert regenerate(lab.paths("node1"), 1).id == 1
    assert_clean(lab, 1)
    assert ping(lab, "pod1", "pod2")


@pytest.mark.parametrize("step", ["bpfLoadProg", "mapSync", "prepareBuild", "bpfWaitForELF"])
def test_cut_after_each_phase(lab: Lab, step: str) -> None:
    """What a phase leaves behind is what the next run starts from, in a process that dies right after it."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cilium_py.endpoint.regenerate import Build, regenerate\n"
        "from cilium_py.loader.phases import Phases\n"
        "from cilium_py.paths import NodePaths\n"
        "def cut(name, seconds):\n"
        "    if name == sys.argv[3]: os.kill(os.getpid(), 9)\n"
        "regenerate(NodePaths(Path(sys.argv[1]), Path(sys.argv[2])), 1, Build(phases=Phases(cut)))\n"
    )
    paths = lab.paths("node1")
    arguments = [sys.executable, "-c", code, str(paths.bpf_root), str(paths.state_dir), step]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL
    assert ping(lab, "pod1", "pod2")
    regenerate(paths, 1)
    assert_clean(lab, 1)


def test_two_at_once_take_turns(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: regenerate(lab.paths("node1"), 1), range(8)))
    assert [endpoint.id for endpoint in made] == [1] * 8
    assert_clean(lab, 1)


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
    monkeypatch.undo()
    regenerate(paths, 1)
    assert not paths.endpoint_failed(1).exists()
    assert_clean(lab, 1)


def test_missing_compiler_changes_nothing(lab: Lab) -> None:
    cilium = cilium_on(lab, "node1")
    done = subprocess.run(
        [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "1", "--compile"],
        env={**os.environ, **command.environment(lab, "node1"), "CLANG": "no-such-clang"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no-such-clang" in done.stderr
    assert "apt install" in done.stderr
    assert cilium("endpoint", "list").stdout.count("ready") == 2


def test_command_tells_each_phase(lab: Lab) -> None:
    done = cilium_on(lab, "node1")("endpoint", "regenerate", "1")
    for phase in ("waitingForLock", "prepareBuild", "bpfWaitForELF", "bpfLoadProg", "mapSync", "total"):
        assert phase in done.stdout
    assert done.stdout.endswith("Endpoint 1 successfully regenerated\n")


def test_missing_endpoint_is_an_error(lab: Lab) -> None:
    with pytest.raises(CiliumPyError, match="no such endpoint"):
        regenerate(lab.paths("node1"), 77, Build())
