"""Start-up of the command line against an interpreter that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import measure

TITLE = "Start-up"


def run() -> str:
    tool = str(Path(sys.executable).parent / "cilium-py")
    floor = measure.median([sys.executable, "-c", "pass"])
    rows = []
    for words in (["--help"], ["bpf", "--help"], ["bpf", "ct", "list", "--help"], ["version"]):
        cost = measure.median([tool, *words])
        rows.append([f"`cilium-py {' '.join(words)}`", cost.wall * 1e3, cost.memory, cost.wall / floor.wall])
    rows.append(["`python3 -c pass`", floor.wall * 1e3, floor.memory, 1.0])
    return measure.table(["command", "wall ms", "peak MB", "against `python3 -c pass`"], rows)
