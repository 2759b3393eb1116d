"""Where a node keeps its rules. A module of its own, so that who only asks whether there are any reads nothing else."""

from __future__ import annotations

from pathlib import Path

from cilium_py.paths import NodePaths


def file_of(paths: NodePaths) -> Path:
    return paths.state_dir / "policy" / "rules.json"
