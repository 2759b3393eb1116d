"""Measuring whole processes and printing tables of figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple


class Cost(NamedTuple):
    """Of one process: seconds of wall and CPU time, peak resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def process(command: Sequence[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end, its output thrown away; an exit code other than 0 is an error."""
    start = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(command: Sequence[str], runs: int = 9) -> Cost:
    """The median of each figure over some runs, after one that does not count."""
    process(command)
    costs = [process(command) for _ in range(runs)]
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table; floats get three significant digits."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
