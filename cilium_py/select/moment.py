"""The present, in each of the clocks that times of entries are in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from cilium_py.schema.derived import Ticks

SECOND_NS = 1_000_000_000


class Clock(Protocol):
    """The agent's clock: seconds of CLOCK_MONOTONIC, or jiffies >> 8."""

    @property
    def hertz(self) -> int: ...  # jiffies a second; 0 for CLOCK_MONOTONIC

    def seconds(self, ticks: int) -> int: ...

    def now(self) -> int: ...


class Moment:
    """One point in time, the same for every entry that is compared with it."""

    def __init__(self, agent: Callable[[], Clock]) -> None:
        self._agent = agent
        self._now: dict[Ticks, int] = {}

    @cached_property
    def agent(self) -> Clock:
        """Asked for when a time is compared, for not every node says which clock it has."""
        return self._agent()

    def now(self, ticks: Ticks) -> int:
        """Whole seconds."""
        if ticks not in self._now:
            read = {Ticks.MONOTONIC_NS: time.monotonic, Ticks.UNIX_NS: time.time}.get(ticks)
            self._now[ticks] = int(read()) if read else self.agent.now()
        return self._now[ticks]

    def seconds(self, ticks: Ticks) -> Callable[[int], int]:
        """What makes whole seconds of a time as the row has it."""
        return self.agent.seconds if ticks is Ticks.AGENT else lambda value: value // SECOND_NS

    def first(self, ticks: Ticks, second: float) -> int:
        """The first time that is in this second or later, as the row has it; 0 if that was before the clock began."""
        whole = max(0, math.ceil(second))
        if ticks is not Ticks.AGENT:
            return whole * SECOND_NS
        return -(-whole * self.agent.hertz // 256) if self.agent.hertz else whole
