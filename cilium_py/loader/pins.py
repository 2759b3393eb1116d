"""Names of an endpoint's programs and maps, and where they are pinned."""

from __future__ import annotations

from pathlib import Path

from cilium_py.paths import NodePaths

FROM_CONTAINER, TO_CONTAINER = "cil_from_container", "cil_to_container"
POLICY_MAP, CALLS_MAP = "cilium_policy_v2", "cilium_calls"
POLICY_PROGRAMS = {
    "cilium_call_policy": "cil_lxc_policy",
    "cilium_egresscall_policy": "cil_lxc_policy_egress",
}
"""Global program array -> the program that each endpoint has in it, under its id."""


def policy_pin(paths: NodePaths, endpoint_id: int) -> Path:
    return paths.globals / f"{POLICY_MAP}_{endpoint_id:05d}"


def calls_pin(paths: NodePaths, endpoint_id: int) -> Path:
    return paths.globals / f"{CALLS_MAP}_{endpoint_id:05d}"
