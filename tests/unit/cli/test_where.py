"""Which node is meant when none is named; not being root is no reason to fail before that matters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cilium_py.cli.where import default_paths, is_directory, unescaped
from cilium_py.paths import NodePaths

NOBODY = 65534


def test_a_node_at_the_default_place_is_meant(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path / "bpf", tmp_path / "state")
    paths.globals.mkdir(parents=True)
    assert default_paths(paths) == paths


@pytest.mark.usefixtures("as_root")
def test_a_directory_that_may_not_be_looked_into(tmp_path: Path) -> None:
    """What an unprivileged user has on any machine: the bpffs is root's alone."""
    paths = NodePaths(tmp_path / "bpf", tmp_path / "state")
    paths.globals.mkdir(parents=True)
    paths.bpf_root.chmod(0o700)
    child = os.fork()
    if child == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        seen = [is_directory(paths.globals, unseen=True), is_directory(paths.globals, unseen=False)]
        os._exit(0 if (seen, default_paths(paths)) == ([True, False], paths) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_unescaped() -> None:
    assert unescaped(r"/mnt/my\040bpf") == "/mnt/my bpf"
