"""Cilium's health metrics in the text form of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cilium_py.node.roster import DEFAULT_CLUSTER

from .model import Outcome, Report
from .prober import Prober
from .verdict import State, of_path

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FAILED = 10.0
"""Seconds that a failed probe counts for."""

STATUS = "cilium_node_health_connectivity_status"
LATENCY = "cilium_node_health_connectivity_latency_seconds"

Key = tuple[str, str, str]
"""Type, protocol, address type."""


@dataclass
class Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


class Metrics:
    """Counts what a prober finds."""

    def __init__(self, prober: Prober) -> None:
        self.prober = prober
        self.histograms: dict[Key, Histogram] = {}
        cluster, _, name = prober.local.rpartition("/")
        self._source = {"source_cluster": cluster or DEFAULT_CLUSTER, "source_node_name": name}
        prober.listener = self._observe

    def text(self) -> str:
        return "".join(line + "\n" for line in (*self._status(self.prober.report()), *self._latency()))

    def _observe(self, kind: str, rank: str, protocol: str, outcome: Outcome) -> None:
        if protocol != "mtu":
            seconds = outcome.latency / 1e9 if outcome.ok else FAILED
            self.histograms.setdefault((kind, protocol, rank), Histogram()).observe(seconds)

    def _status(self, report: Report) -> Iterator[str]:
        counts = Counter((leg.type, of_path(leg.path)) for leg in report.legs())
        yield f"# HELP {STATUS} Paths by what the last ICMP and HTTP probes of them found"
        yield f"# TYPE {STATUS} gauge"
        for kind in ("endpoint", "node"):
            for state in State:
                labels = _labels({**self._source, "status": state.value, "type": kind})
                yield f"{STATUS}{labels} {counts[kind, state]}"

    def _latency(self) -> Iterator[str]:
        yield f"# HELP {LATENCY} Round-trip times of probes; a failed one counts as {FAILED:g} s"
        yield f"# TYPE {LATENCY} histogram"
        for (kind, protocol, rank), histogram in sorted(self.histograms.items()):
            own = {"address_type": rank, "protocol": protocol, **self._source, "type": kind}
            below = 0
            for bound, count in zip((*BUCKETS, None), histogram.counts, strict=True):
                below += count
                yield f"{LATENCY}_bucket{_labels({**own, 'le': '+Inf' if bound is None else f'{bound:g}'})} {below}"
            yield f"{LATENCY}_sum{_labels(own)} {histogram.total:.9g}"
            yield f"{LATENCY}_count{_labels(own)} {below}"


def _labels(values: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(values.items())) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
