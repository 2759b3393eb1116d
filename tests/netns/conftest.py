"""Real traffic in a lab: namespaces, pins and state below a /run that only the test process sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cilium_py.lab import Lab, build, command, teardown
from cilium_py.net import libc

RUN = Path("/run")
LONG = os.environ.get("CILIUM_PY_LONG") == "1"
"""Whether there is time: more repetitions of what is to hold at every moment."""

Cilium = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def own_run(as_root: None) -> None:  # noqa: ARG001  a fixture for its effect
    """A lab of the machine's own goes on undisturbed: from here on, /run is another one."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", Path("/"), flags=libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("tmpfs", RUN, "tmpfs", options="mode=0755")


WAYS: dict[str, dict[str, Any]] = {
    "tcx": {},
    "tc": {"attach": "tc"},
    "stack": {"options": {"enable_host_routing": 0}},
}
"""Programs attached by links; by filters, as on older kernels; by links, but leaving routing to the host's stack."""


@pytest.fixture(scope="module", params=WAYS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One node with two pods, in each of the ways that a node can be run."""
    yield from running(request.param)


def running(way: str) -> Iterator[Lab]:
    made = build.up(Lab.planned(1, 2, **WAYS[way]))
    yield made
    teardown.down(made.root)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Lab]:
    made = build.up(Lab.planned(2, 1))
    yield made
    teardown.down(made.root)


def cilium_on(lab: Lab, where: str) -> Cilium:
    """The command line, about a node of the lab."""

    def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cilium_py", *words],
            env={**os.environ, **command.environment(lab, where)},
            capture_output=True,
            text=True,
            check=check,
        )

    return run
