"""What the last probes of each address found: losses, quantiles of the round-trip times, the last failure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

KEPT = 100
"""Probes that are remembered of each address and protocol."""
LOST = -1


class Summary(NamedTuple):
    """The last probes of one address by one protocol."""

    node: str
    type: str
    rank: str
    ip: str
    protocol: str
    probes: int
    lost: int
    loss_percent: float
    p50_ns: int
    """Median of the round-trip times; 0 if no probe was answered, as the 95th percentile is."""
    p95_ns: int
    last_failure: str
    """RFC 3339; empty if there was none."""
    reason: str


@dataclass
class Series:
    """A ring of round-trip times."""

    times: array[int] = field(default_factory=lambda: array("q"))
    at: int = 0
    last_failure: str = ""
    reason: str = ""

    def add(self, nanoseconds: int) -> None:
        if len(self.times) < KEPT:
            self.times.append(nanoseconds)
        else:
            self.times[self.at] = nanoseconds
            self.at = (self.at + 1) % KEPT

    def fail(self, when: str, reason: str) -> None:
        self.add(LOST)
        self.last_failure, self.reason = when, reason


@dataclass
class History:
    """Series by address and protocol."""

    series: dict[tuple[str, str], Series] = field(default_factory=dict)

    def of(self, ip: str, protocol: str) -> Series:
        return self.series.setdefault((ip, protocol), Series())

    def keep(self, addresses: Iterable[str]) -> None:
        """Forget all other addresses."""
        kept = set(addresses)
        self.series = {key: series for key, series in self.series.items() if key[0] in kept}

    def summary(self, node: str, kind: str, rank: str, ip: str, protocol: str) -> Summary:
        series = self.series.get((ip, protocol), Series())
        answered = sorted(time for time in series.times if time != LOST)
        probes = len(series.times)
        lost = probes - len(answered)
        return Summary(
            node, kind, rank, ip, protocol, probes, lost,
            round(100 * lost / probes, 1) if probes else 0.0,
            quantile(answered, 0.5), quantile(answered, 0.95),
            series.last_failure, series.reason,
        )  # fmt: skip


def quantile(ordered: list[int], part: float) -> int:
    """The smallest value that so large a part of the values does not exceed; 0 of none."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else 0
