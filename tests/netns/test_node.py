"""A node that is no lab, made and removed by its commands, in a namespace that stands for the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.net.namespace import NetNamespace

Command = Callable[..., subprocess.CompletedProcess[str]]

INIT = ("node", "init", "--ip", "192.0.2.1", "--pods", "10.9.0.0/24", "--ipv6", "fd00::1", "--pods6", "fd09::/64")


@pytest.fixture
def machine() -> Iterator[NetNamespace]:
    made = NetNamespace.named("machine")
    made.create()
    yield made
    made.delete()


@pytest.fixture
def cilium(machine: NetNamespace, tmp_path: Path) -> Iterator[Command]:
    """The command line in that machine, with places of its own."""
    places = {"CILIUM_PY_BPF_ROOT": str(tmp_path / "bpf"), "CILIUM_PY_STATE_DIR": str(tmp_path / "state")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return machine.run([sys.executable, "-m", "cilium_py", *words], env=places, timeout=60)

    yield run
    subprocess.run(["umount", os.fsdecode(tmp_path / "bpf")], stderr=subprocess.DEVNULL)


def said(machine: NetNamespace, *words: str) -> str:
    return machine.run(words).stdout


def test_init_and_remove(machine: NetNamespace, cilium: Command, tmp_path: Path) -> None:
    before = said(machine, "ip", "route"), said(machine, "ip", "-br", "link")
    assert cilium(*INIT).returncode == 0
    assert cilium("status").returncode == 0
    workload = NetNamespace.named("workload")
    workload.create()
    try:
        assert "10.9.0.1 " in cilium("endpoint", "add", "--netns", "workload").stdout
        assert workload.run(["ping", "-c1", "-W1", "10.9.0.254"]).returncode == 0
        assert machine.run(["ping", "-c1", "-W1", "fd09::1"]).returncode == 0
        assert cilium("node", "remove").returncode == 1
        assert cilium(*INIT).returncode == 0
        assert machine.run(["ping", "-c1", "-W1", "10.9.0.1"]).returncode == 0
        assert cilium("endpoint", "delete", "1").returncode == 0
    finally:
        workload.delete()
    assert cilium("node", "remove").returncode == 0
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "bpf" / "tc" / "globals").exists()
    assert (said(machine, "ip", "route"), said(machine, "ip", "-br", "link")) == before


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--ip", "192.0.2.1"),
        ("--pods", "10.9.0.0/24"),
        ("--ip", "x", "--pods", "10.9.0.0/24"),
        ("--ip", "192.0.2.1", "--pods", "10.9.0.1/24"),
        ("--ip", "10.9.0.7", "--pods", "10.9.0.0/24"),
        ("--ip", "192.0.2.1", "--pods", "10.9.0.0/31"),
        ("--ipv6", "fd00::1", "--pods6", "fd09::/125"),
        ("--ip", "192.0.2.1", "--pods", "10.9.0.0/24", "--name", "../x"),
    ],
)
def test_wrong_words(cilium: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = cilium("node", "init", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_the_maps_of_another_cilium_are_left_alone(cilium: Command, tmp_path: Path) -> None:
    directory = tmp_path / "bpf" / "tc" / "globals"
    directory.mkdir(parents=True)
    (directory / "cilium_lxc").touch()
    done = cilium(*INIT)
    assert done.returncode == 1
    assert "another Cilium" in done.stderr


def test_other_ranges_are_refused(cilium: Command) -> None:
    assert cilium(*INIT).returncode == 0
    done = cilium("node", "init", "--ip", "192.0.2.1", "--pods", "10.10.0.0/24")
    assert done.returncode == 1
    assert "other addresses" in done.stderr
    assert cilium("node", "remove").returncode == 0
