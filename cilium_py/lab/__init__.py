"""Nodes and pods as network namespaces on one machine."""

from pathlib import Path

from cilium_py.paths import NodePaths

ROOT = Path("/run/cilium-py/lab")


def nodes(root: Path = ROOT) -> dict[str, NodePaths]:
    """The nodes of the running lab by name, in order; none if no lab is up."""
    try:
        names = sorted(entry.name for entry in root.iterdir() if (entry / "state").is_dir())
    except OSError:
        return {}
    return {name: NodePaths(root / name / "bpf", root / name / "state") for name in names}
