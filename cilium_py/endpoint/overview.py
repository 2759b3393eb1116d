"""How a node is: its maps, its endpoints, and what of them is not as it should be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from cilium_py.errors import CiliumPyError, Partial
from cilium_py.net import libc
from cilium_py.net.namespace import inside
from cilium_py.node.config import HOST_DEVICE, NodeConfig
from cilium_py.paths import NodePaths

from . import states, status, store

GLOBAL_MAPS = (
    "cilium_call_policy",
    "cilium_ct4_global",
    "cilium_ct6_global",
    "cilium_ct_any4_global",
    "cilium_ct_any6_global",
    "cilium_events",
    "cilium_ipcache_v2",
    "cilium_ipv4_frag_datagrams",
    "cilium_ipv6_frag_datagrams",
    "cilium_lxc",
    "cilium_metrics",
    "cilium_policystats",
)
"""Maps that every node has pinned."""


class Overview(NamedTuple):
    """A node at one moment. `problems` is empty if all is well."""

    node: str
    netns: str
    ipv4: str
    ipv4_router: str
    ipv4_pods: str
    ipv6: str
    ipv6_router: str
    ipv6_pods: str
    bpf_root: str
    state_dir: str
    attach: str
    maps: int
    programs: int
    identities: int
    endpoints: dict[str, int]
    problems: list[str]


def overview(paths: NodePaths) -> Overview:
    """Look at the node. Raises NodeMissing if there is none."""
    node = NodeConfig.load(paths)
    problems = missing(paths, node)
    endpoints = []
    try:
        for endpoint in store.all(paths):
            endpoints.append(endpoint)
    except Partial as error:
        problems.append(error.message)
    found_states = {endpoint.id: status.state_of(paths, node, endpoint) for endpoint in endpoints}
    for endpoint in endpoints:
        found = status.problems(paths, node, endpoint)
        if found or found_states[endpoint.id] != states.READY:
            problems.append(
                f"endpoint {endpoint.id} is {found_states[endpoint.id]}" + "".join(f"; {text}" for text in found)
            )
    return Overview(
        node=node.name,
        netns=node.netns or "",
        ipv4=str(node.ipv4.address) if node.ipv4 else "",
        ipv4_router=str(node.ipv4.router) if node.ipv4 else "",
        ipv4_pods=str(node.ipv4.pods) if node.ipv4 else "",
        ipv6=str(node.ipv6.address) if node.ipv6 else "",
        ipv6_router=str(node.ipv6.router) if node.ipv6 else "",
        ipv6_pods=str(node.ipv6.pods) if node.ipv6 else "",
        bpf_root=str(paths.bpf_root),
        state_dir=str(paths.state_dir),
        attach=node.attach,
        maps=_count(paths.globals, "cilium_*"),
        programs=_count(paths.bpf_root / "cilium", "*/*/links/*"),
        identities=len(node.identity_store(paths).all()),
        endpoints=dict(sorted(Counter(found_states.values()).items())),
        problems=problems,
    )


def missing(paths: NodePaths, node: NodeConfig) -> list[str]:
    """What the node lacks of its own, each in a few words; empty if it is complete."""
    found = [f"{name} is not pinned" for name in GLOBAL_MAPS if not (paths.globals / name).exists()]
    if not _has_router(node):
        found.append(f"{HOST_DEVICE} is gone")
    return found


def _has_router(node: NodeConfig) -> bool:
    try:
        with inside(node.namespace):
            return libc.if_nametoindex(HOST_DEVICE) == node.host_index
    except (OSError, CiliumPyError):
        return False


def _count(directory: Path, pattern: str) -> int:
    return sum(1 for _ in directory.glob(pattern))
