"""Running commands in a lab's pods and nodes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from cilium_py.net.namespace import NetNamespace

from .registry import Lab


def become(lab: Lab, where: str, argv: Sequence[str]) -> None:
    """Replace this process by a command in a pod or node. Returns only by an error."""
    namespace(lab, where).become(argv, lab.etc, environment(lab, where))


def spawn(lab: Lab, where: str, argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a command in a pod or node; the caller waits for it."""
    return namespace(lab, where).spawn(argv, lab.etc, environment(lab, where))


def run(lab: Lab, where: str, argv: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a pod or node to its end."""
    return namespace(lab, where).run(argv, lab.etc, environment(lab, where), timeout)


def namespace(lab: Lab, where: str) -> NetNamespace:
    """The namespace of a pod, a node, or of `world`, which is outside the cluster."""
    if where == "world":
        return NetNamespace.named(lab.netns("net"))
    name = where if where in lab.node_names else lab.pod(where).name
    return NetNamespace.named(lab.netns(name))


def environment(lab: Lab, where: str) -> Mapping[str, str]:
    """On a node, commands of ours are about that node; in a pod, about the pod's node."""
    if where == "world":
        return {}
    node = where if where in lab.node_names else lab.pod(where).node
    paths = lab.paths(node)
    return {"CILIUM_PY_BPF_ROOT": str(paths.bpf_root), "CILIUM_PY_STATE_DIR": str(paths.state_dir)}
