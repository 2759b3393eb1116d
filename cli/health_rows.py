"""The rows of `health`: a path and what was found of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cilium_py.health import verdict
from cilium_py.health.diagnosis import diagnose
from cilium_py.health.history import Summary
from cilium_py.health.model import Outcome, Report
from cilium_py.schema import Table, duration


class PathRow(NamedTuple):
    """One path."""

    node: str
    type: str
    """node, or endpoint for its health endpoint."""
    rank: str
    """primary, or secondary."""
    ip: str
    state: str
    """reachable, unreachable or unknown."""
    icmp: str
    """ok, unknown, or how the probe failed; http likewise."""
    icmp_ns: int
    """Round-trip time; 0 of a probe that failed or was not made."""
    http: str
    http_ns: int
    mtu: int
    """Size of the large echo; 0 if none was sent."""
    loses_large: bool
    """Whether small echoes come back and large ones do not."""
    last_probed: str
    """RFC 3339."""


HISTORY = Table[Summary](
    ("NODE", "TYPE", "IP", "PROTOCOL", "PROBES", "LOSS", "P50", "P95", "LAST FAILURE"),
    lambda row: (
        row.node, row.type, row.ip, row.protocol, str(row.probes), f"{row.loss_percent:g}%",
        duration.text(row.p50_ns), duration.text(row.p95_ns),
        f"{row.last_failure} {row.reason}".strip() or "-",
    ),
    padded="none",
)  # fmt: skip


def path_rows(report: Report) -> Iterator[PathRow]:
    for leg in report.legs():
        path = leg.path
        probed = [outcome.last_probed for outcome in (path.icmp, path.http) if outcome is not None]
        yield PathRow(
            leg.node, leg.type, leg.rank, path.ip, verdict.of_path(path).value,
            _word(path.icmp), path.icmp.latency if path.icmp else 0,
            _word(path.http), path.http.latency if path.http else 0,
            path.mtu.size if path.mtu else 0, verdict.swallows(path),
            max(probed, default=""),
        )  # fmt: skip


def document(report: Report, compat: bool) -> dict[str, Any]:  # what json writes
    """The document of the API; of ours, what failing nodes suffer from comes with it."""
    if compat:
        without: dict[str, Any] = _without_mtu(report.document())
        return without
    return {"diagnosis": [finding._asdict() for finding in diagnose(report)], **report.document()}


def _without_mtu(value: Any) -> Any:  # whatever a document consists of
    if isinstance(value, dict):
        return {key: _without_mtu(item) for key, item in value.items() if key != "mtu"}
    return [_without_mtu(item) for item in value] if isinstance(value, list) else value


def _word(outcome: Outcome | None) -> str:
    return "unknown" if outcome is None else outcome.status or "ok"
