"""Health in a lab: a health endpoint and a prober on every node. Both end with the lab."""

from __future__ import annotations

import subprocess

from cilium_py.errors import CiliumPyError
from cilium_py.health import endpoint

from .registry import Lab


def start(lab: Lab, *options: str) -> None:
    """Make the health endpoints and start the probers, in the background; options are those of `health run`."""
    for node in lab.node_names:
        endpoint.add(lab.paths(node))
    for node in lab.node_names:
        command = endpoint.own_command(lab.paths(node), "health", "run", "--detach", *options)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise CiliumPyError(f"{node}: the prober did not start: {done.stderr.strip().removeprefix('error: ')}")
