"""What the node's agent left word of: its address families, and the clock of the times in conntrack and NAT."""

from __future__ import annotations

import sys

from cilium_py.cli.context import Settings, say
from cilium_py.errors import CiliumPyError
from cilium_py.node import runtime
from cilium_py.node.runtime import Clock, RuntimeConfig


def agent_options(where: Settings) -> RuntimeConfig:
    """The options of the node's agent; the defaults if it left none or they cannot be read."""
    try:
        return runtime.read(where.paths.state_dir) or RuntimeConfig()
    except CiliumPyError as error:
        say(f"note: {error.message}; taken for one with both address families")
        return RuntimeConfig()


def agent_clock(where: Settings) -> Clock:
    """The agent's clock; without a word of it CLOCK_MONOTONIC, which most agents have: at a terminal that is said.

    Raises CiliumPyError if what the agent left makes no sense.
    """
    config = runtime.read(where.paths.state_dir)
    if config is None and sys.stderr.isatty():
        say(f"note: {where.paths.state_dir / runtime.FILE}: missing, times are taken as seconds of CLOCK_MONOTONIC")
    return (config or RuntimeConfig()).clock
