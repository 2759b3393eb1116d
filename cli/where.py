"""Which node is meant: the one at the default place, or a node of the running lab."""

from __future__ import annotations

import sys

from cilium_py.cli.context import say
from cilium_py.errors import WrongUsage
from cilium_py.paths import NodePaths


def lab_paths(name: str) -> NodePaths:
    """The paths of a lab's node. Raises WrongUsage if there is none of that name."""
    from cilium_py.lab import nodes

    running = nodes()
    if name not in running:
        known = ", ".join(sorted(running)) or "none: cilium-py lab up starts some"
        raise WrongUsage(f"--node {name}: no such node in the lab", f"running nodes: {known}")
    return running[name]


def default_paths(default: NodePaths) -> NodePaths:
    """The default place if a node lives there or no lab runs, else the lab's first node."""
    if default.globals.is_dir() or default.state_dir.is_dir():
        return default
    from cilium_py.lab import nodes

    running = nodes()
    if not running:
        return default
    name = next(iter(running))
    if sys.stderr.isatty():
        say(f"note: no node at {default.bpf_root}, showing {name} of the lab (--node chooses)")
    return running[name]
