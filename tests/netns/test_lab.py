"""A lab comes and goes without a trace, and never disturbs another."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap, map_ids
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.lab import Lab, build, command, nodes, teardown
from cilium_py.net.namespace import DIRECTORY

ROOT = Path("/run/another/lab")
PREFIX = "other-"


def planned(**changes: int) -> Lab:
    return Lab.planned(**{"nodes": 1, "pods": 1, **changes}, root=ROOT, prefix=PREFIX)


def traces() -> list[str]:
    return [str(path) for path in (*DIRECTORY.glob(f"{PREFIX}*"), *ROOT.parent.glob("*"), *ROOT.parent.glob(".*"))]


def test_down_leaves_nothing() -> None:
    made = build.up(planned(nodes=2))
    assert list(nodes(ROOT)) == ["node1", "node2"]
    maps = ids_of_maps(made)
    with command.spawn(made, "pod1", ["sleep", "1000"]) as sleeper:
        assert teardown.down(ROOT)
        assert sleeper.wait() != 0
    assert traces() == []
    assert not teardown.down(ROOT)
    deadline = time.monotonic() + 10
    while maps & set(map_ids()) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel frees a map some time after its last user is gone
    assert not maps & set(map_ids())


def ids_of_maps(lab: Lab) -> set[int]:
    found = set()
    for node in lab.node_names:
        for pin in lab.paths(node).globals.iterdir():
            with BpfMap.open(pin) as opened:
                found.add(opened.info.id)
    return found


def test_a_second_one_is_refused() -> None:
    build.up(planned())
    with pytest.raises(CiliumPyError, match="running already"):
        build.up(planned())
    assert nodes(ROOT)
    teardown.down(ROOT)


def test_failure_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise CiliumPyError("as if the kernel had refused")

    monkeypatch.setattr(build, "_make_pod", fail)
    with pytest.raises(CiliumPyError, match="refused"):
        build.up(planned())
    assert traces() == []


def test_up_after_a_crash_cleans_up() -> None:
    """A process that dies in the middle leaves what the next `up` removes."""
    code = (
        "import os; from pathlib import Path\n"
        "from cilium_py.lab import Lab, build\n"
        f"plan = Lab.planned(1, 2, root=Path({str(ROOT)!r}), prefix={PREFIX!r})\n"
        "build.up(plan, lambda line: os.kill(os.getpid(), 9) if 'pod2' in line else None)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert nodes(ROOT) == {}
    with pytest.raises(CiliumPyError, match="not made to its end"):
        Lab.running(ROOT)
    made = build.up(planned())
    assert command.run(made, "pod1", ["ping", "-c1", "-W1", "node1"]).returncode == 0
    teardown.down(ROOT)
    assert traces() == []


def test_private_directories() -> None:
    build.up(planned())
    for path in (ROOT, ROOT / "node1", ROOT / "node1" / "bpf", ROOT / "node1" / "state"):
        assert path.stat().st_mode & 0o077 == 0
    teardown.down(ROOT)


@pytest.mark.parametrize("changes", [{"nodes": 0}, {"nodes": 101}, {"pods": -1}, {"pods": 201}])
def test_impossible_plans(changes: dict[str, int]) -> None:
    with pytest.raises(WrongUsage):
        planned(**changes)


@pytest.mark.parametrize("prefix", ["", "../", "a b", "UPPER", "x" * 17])
def test_impossible_prefixes(prefix: str) -> None:
    with pytest.raises(WrongUsage):
        Lab.planned(root=ROOT, prefix=prefix)
