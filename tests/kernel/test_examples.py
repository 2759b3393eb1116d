"""Every example of every --help does what it says: it runs as printed, on a node that has every map."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from zipfile import ZipFile

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.cli.context import Settings
from cilium_py.cli.main import cilium_py
from cilium_py.maps import lb_backends
from cilium_py.paths import NodePaths
from tests.kernel.conftest import call as syscall
from tests.kernel.world import pin_every_map
from tests.unit.cli.test_tree import PROGRAM, call, command_at, every_path

NOT_RUN = (
    ("lab",), ("monitor",), ("health",), ("node",), ("endpoint",), ("flow", "explain"), ("bpf", "stats", "report"),
    ("completion",),
)  # fmt: skip
"""Commands that change more than maps, take their time, or want a node of ours: their examples are only understood."""
REPEATED = {"watch", "top"}


def examples() -> list[tuple[tuple[str, ...], str]]:
    found = []
    for path in every_path():
        command, _ = command_at(path)
        lines = (line.strip() for line in (command.help or "").splitlines())
        found += [(path, line) for line in lines if line.startswith(PROGRAM)]
    return found


def words_of(example: str) -> list[str]:
    """The words of the call at the beginning of a line of shell."""
    tokens = shlex.shlex(example.partition("    ")[0], posix=True, punctuation_chars=True)
    tokens.whitespace_split = True
    return list(takewhile(lambda token: token.strip("|&<>;"), tokens))[1:]


@pytest.fixture(scope="module")
def world(own_mounts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001
    """A directory with a bpffs of every map, and the snapshots that examples speak of."""
    root = tmp_path_factory.mktemp("world")
    pins = root / "bpf/tc/globals"
    mount_bpffs(root / "bpf")
    pins.mkdir(parents=True)
    pin_every_map(pins)
    node = ("--bpf-root", str(root / "bpf"), "--state-dir", str(root / "state"))
    with BpfMap.open(pins / "cilium_lb4_backends_v3", read_only=False) as backends:
        backend = lb_backends.Backend4(address=bytes([10, 0, 1, 7]), port=8080, proto=6)
        backends.update(lb_backends.Key(value=1).pack(), backend.pack())
    with ZipFile(root / "cilium-sysdump.zip", "w") as sysdump:
        sysdump.writestr("cilium-bugtool-node1/cmd/bpftool-map-dump-pinned-sys-fs-bpf-tc-globals-cilium_lxc.md", "[]")
    for name in ("before.snap", "after.snap", "node1.snap"):
        assert call(*node, "snapshot", "save", str(root / name))[0] == 0
    yield root
    syscall("umount2", os.fsencode(root / "bpf"), 0)


@pytest.mark.parametrize(("path", "example"), examples(), ids=lambda value: "" if isinstance(value, tuple) else value)
def test_an_example_runs(
    path: tuple[str, ...], example: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of(example)
    monkeypatch.chdir(tmp_path if words[:2] == ["snapshot", "save"] else world)
    if any(path[: len(each)] == each or tuple(words[: len(each)]) == each for each in NOT_RUN):
        read(words, world)
        return
    if REPEATED.intersection(path):
        words += ["--interval", "100ms", *([] if "--rounds" in words else ["--rounds", "1"])]
    node = [] if "--from" in words else ["--bpf-root", str(world / "bpf"), "--state-dir", str(world / "state")]
    code, _, err = call(*node, *words)
    assert code in (0, 1), err
    assert not code or not err or err.startswith("error: ")


def read(words: list[str], world: Path) -> None:
    """Understand a call, as far as that goes without doing it."""
    command, context = command_at(())
    context.obj = Settings(NodePaths(world / "bpf", world / "state"))
    while words and not words[0].startswith("-") and hasattr(command, "get_command"):
        command = command.get_command(context, words.pop(0))
        context = type(context)(command, parent=context, info_name=command.name)
    command.make_context(command.name or "", words, parent=context.parent)


def test_there_are_examples() -> None:
    assert len(examples()) > 500
    assert cilium_py.help
