"""When to probe: the more addresses, the longer the interval, and the probes spread over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_BASE, BASE_RANGE = 10.0, 100.0
"""Seconds: the base interval is the first, plus a ratio of 0 to 1 times the second."""
DEFAULT_RATIO = 0.5
EAGER_GAP = 0.02
"""Seconds between first probes of addresses that nothing is known of."""
RECHECK = 1.0
"""Seconds after which an address that failed is probed again; each further time after twice as many."""


@dataclass(frozen=True)
class Schedule:
    """The pace of a prober. `base` is in seconds."""

    base: float = LEAST_BASE + DEFAULT_RATIO * BASE_RANGE

    @classmethod
    def of_ratio(cls, ratio: float) -> Schedule:
        return cls(LEAST_BASE + ratio * BASE_RANGE)

    def interval(self, addresses: int) -> float:
        """Seconds from the start of a round to the next."""
        return self.base * math.log1p(addresses) if addresses else self.base

    def gap(self, addresses: int) -> float:
        """Seconds from one address to the next."""
        return self.interval(addresses) / max(addresses, 1)
