"""`endpoint regenerate` as a whole process: with the prebuilt object, and compiling."""

from __future__ import annotations

import sys

from cilium_py.lab import command
from tests.bench import measure
from tests.bench.pods import small_lab

TITLE = "Regenerating an endpoint"


def run() -> str:
    measure.private_run()
    regenerate = [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "1"]
    with small_lab() as lab:
        environment = dict(command.environment(lab, "node1"))
        prebuilt = measure.median(regenerate, environment=environment)
        cold = measure.process([*regenerate, "--compile"], environment)
        warm = measure.median([*regenerate, "--compile"], runs=3, environment=environment)
    rows = [
        ["prebuilt object", prebuilt.wall * 1e3, prebuilt.memory, 1.0],
        ["`--compile`, the first of its configuration", cold.wall * 1e3, cold.memory, cold.wall / prebuilt.wall],
        ["`--compile`, its template there already", warm.wall * 1e3, warm.memory, warm.wall / prebuilt.wall],
    ]
    return measure.table(["`cilium-py endpoint regenerate 1`", "wall ms", "peak MB", "ratio"], rows)
