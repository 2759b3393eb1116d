"""What an agent leaves in the state directory about its options, and the clock that follows from them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from cilium_py.errors import CiliumPyError, advice, said
from cilium_py.schema.timestamp import seconds

FILE = "agent-runtime-config.json"
SCHEDSTAT = Path("/proc/schedstat")
JIFFIES = 1


class Clock(NamedTuple):
    """The clock of the times in conntrack and NAT entries: seconds of CLOCK_MONOTONIC, or jiffies >> 8."""

    hertz: int = 0
    """Jiffies a second; 0 for CLOCK_MONOTONIC."""

    def seconds(self, ticks: int) -> int:
        """A time of an entry in seconds, in the 64 bits that cilium-dbg has for it."""
        return seconds(ticks, self.hertz)

    def now(self) -> int:
        """The present in seconds. Raises CiliumPyError if the kernel does not show its jiffies."""
        return self.seconds_of_jiffies(jiffies()) if self.hertz else int(time.monotonic())

    def seconds_of_jiffies(self, count: int) -> int:
        """The kernel's tick count in seconds, as coarse as the times of entries are."""
        return self.seconds(count >> 8)


class RuntimeConfig(NamedTuple):
    """The options that matter to a reader of maps; their defaults are the agent's."""

    ipv4: bool = True
    ipv6: bool = True
    clock: Clock = Clock()


def read(state_dir: Path) -> RuntimeConfig | None:
    """The options of the node's agent; None if it left none. Raises CiliumPyError if they make no sense."""
    path = state_dir / FILE
    try:
        options = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CiliumPyError(said(error), advice(error)) from error
    except ValueError as error:
        raise CiliumPyError(f"{path}: {error}", "the agent writes it when it starts") from error
    if not isinstance(options, dict):
        raise CiliumPyError(f"{path}: not a JSON object")
    ipv4, ipv6 = (_option(path, options, name, True) for name in ("EnableIPv4", "EnableIPv6"))
    source, hertz = (_option(path, options, name, 0) for name in ("ClockSource", "KernelHz"))
    return RuntimeConfig(bool(ipv4), bool(ipv6), Clock(hertz if source == JIFFIES else 0))


def jiffies() -> int:
    """The kernel's tick count. Raises CiliumPyError if it does not show it."""
    try:
        lines = SCHEDSTAT.read_text().splitlines()
    except OSError as error:
        raise CiliumPyError(f"{SCHEDSTAT}: {error.strerror}", "the agent counts in jiffies") from error
    for line in lines:
        name, _, number = line.partition(" ")
        if name == "timestamp" and number.isdecimal():
            return int(number)
    raise CiliumPyError(f"{SCHEDSTAT}: no timestamp in it")


def _option(path: Path, options: dict[str, object], name: str, default: int) -> int:
    value = options.get(name, default)
    if not isinstance(value, type(default)):
        raise CiliumPyError(f"{path}: {name} is {value!r}, not {type(default).__name__}")
    return value
