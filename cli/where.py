"""Which node is meant: the one at the default place, or a node of the running lab."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from cilium_py.cli.context import node_paths, say
from cilium_py.errors import WrongUsage
from cilium_py.paths import NodePaths


def chosen_paths(bpf_root: str | None, state_dir: str | None, node: str | None) -> NodePaths:
    """The paths that the root options name."""
    if node is not None:
        return lab_paths(node)
    paths = node_paths(bpf_root, state_dir)
    return default_paths(paths) if bpf_root is None and state_dir is None else paths


def completing_paths(ctx: click.Context) -> NodePaths:
    """The same of a line that is being completed, for which no command has run."""
    given = ctx.find_root().params
    return chosen_paths(given.get("bpf_root"), given.get("state_dir"), given.get("node"))


def complete_nodes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from cilium_py.lab import nodes

    return [name for name in nodes() if name.startswith(incomplete)]


def lab_paths(name: str) -> NodePaths:
    """The paths of a lab's node. Raises WrongUsage if there is none of that name."""
    from cilium_py.lab import Lab, nodes

    running = nodes()
    if name not in running:
        Lab.find()  # A lab that is another user's is not a lab without that node.
        known = ", ".join(sorted(running)) or "none: cilium-py lab up starts some"
        raise WrongUsage(f"--node {name}: no such node in the lab", f"running nodes: {known}")
    return running[name]


def default_paths(default: NodePaths) -> NodePaths:
    """The default place if a node lives there; else the lab's first node; else another bpffs that has maps."""
    if is_directory(default.globals, unseen=True):
        return default
    from cilium_py.lab import nodes

    running = nodes()
    if running and not is_directory(default.state_dir, unseen=True):
        name = next(iter(running))
        if sys.stderr.isatty():
            say(f"note: no node at {default.bpf_root}, showing {name} of the lab (--node chooses)")
        return running[name]
    of_lab = {paths.bpf_root for paths in running.values()}
    elsewhere = next((root for root in bpffs_with_maps() if root not in of_lab), default.bpf_root)
    return replace(default, bpf_root=elsewhere)


def bpffs_with_maps() -> Iterator[Path]:
    """Each mounted bpffs that has maps of Cilium pinned in it."""
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, filesystem = line.partition(" - ")
        if filesystem.startswith("bpf "):
            paths = NodePaths(bpf_root=Path(unescaped(fields.split(" ")[4])))
            if is_directory(paths.globals, unseen=False):
                yield paths.bpf_root


def is_directory(path: Path, *, unseen: bool) -> bool:
    """Whether a directory is there; `unseen` where we may not look, as below a bpffs that is root's alone."""
    try:
        return path.is_dir()
    except PermissionError:
        return unseen


def unescaped(text: str) -> str:
    """A path of mountinfo, in which spaces and the like are octal."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
