"""Measuring whole processes and printing tables of figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cilium_py.net import libc


class Cost(NamedTuple):
    """Of one process: seconds of wall and CPU time, peak resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, its output thrown away; an exit code other than 0 is an error.

    time(1) stands between: a process counts the memory of the one that forked it as its own.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.NamedTemporaryFile() as figures:
        start = time.perf_counter()
        subprocess.run(
            ["/usr/bin/time", "-q", "-o", figures.name, "-f", "%U %S %M", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**kept, **(environment or {})},
            check=True,
        )
        wall = time.perf_counter() - start
        user, system, memory = map(float, figures.read().split())
    return Cost(wall, user + system, memory / 1024)


def median(command: Sequence[str], runs: int = 9, environment: Mapping[str, str] | None = None) -> Cost:
    """The median of each figure over some runs, after one that does not count."""
    process(command, environment)
    costs = [process(command, environment) for _ in range(runs)]
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table; floats get three significant digits."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def private_run() -> None:
    """From here on, this process has a /run of its own: no namespace or lab of the machine's is in its way."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", Path("/"), flags=libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("tmpfs", Path("/run"), "tmpfs", options="mode=0755")
