"""A report as lines, as cilium-health prints them, and as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from cilium_py.schema import duration

from .model import Addresses, NodeReport, Outcome, Path, Report
from .verdict import State, count, is_healthy, of_node, of_outcome, swallows

PADDING = 3
MOST_LINES = 10
"""Nodes that a summary of failing ones shows."""

Line = tuple[str, ...]


def default(report: Report) -> Iterator[str]:
    """One row a node: its addresses, and how many paths to it and to its health endpoint are reachable."""
    return columns([*_head(report), *(_row(report, node) for node in _in_order(report))])


def succinct(report: Report) -> Iterator[str]:
    """One row a node, each side in a word."""
    rows = [
        ("  " + _name(report, node), _addresses(node, 1), _word(node.host), _word(node.endpoint))
        for node in _in_order(report)
    ]
    return columns([_summary(report), ("Name", "IP", "Reachable", "Endpoints reachable"), *rows])


def verbose(report: Report) -> Iterator[str]:
    """Every path with both its probes."""
    lines = _head(report)
    for node in _in_order(report):
        lines.append((f"  {_name(report, node)}:",))
        for name, side in (("Host", node.host), ("Endpoint", node.endpoint)):
            lines += _side(name, side)
    return columns(lines)


def failing(report: Report, most: int = MOST_LINES) -> Iterator[str]:
    """The summary, and of the nodes only those that fail; more than so many become dots."""
    rows = [_row(report, node) for node in _in_order(report) if not is_healthy(node)]
    yield from columns([*_head(report), *rows[:most]] if rows else [_summary(report)])
    if len(rows) > most:
        yield "  ..."


def matrix(report: Report) -> Iterator[str]:
    """Nodes by paths: the round-trip time of each probe, FAIL, ? (not probed yet) or - (no such path)."""
    sides: Sequence[tuple[str, Callable[[NodeReport], Addresses | None]]] = (
        ("NODE", lambda node: node.host),
        ("ENDPOINT", lambda node: node.endpoint),
    )
    titles, columns_of = ["NAME"], []
    for title, side in sides:
        wide = max((len(found.paths) for node in report.nodes if (found := side(node)) is not None), default=0)
        for at in range(wide):
            number = str(at + 1) if wide > 1 else ""
            titles += [f"{title}{number} ICMP", f"{title}{number} HTTP"]
            columns_of.append((side, at))
    rows = []
    for node in _in_order(report):
        cells = [_name(report, node)]
        for side, at in columns_of:
            found = side(node)
            cells += _cells(found.paths[at] if found is not None and at < len(found.paths) else None)
        rows.append(tuple(cells))
    return columns([tuple(titles), *rows])


def columns(lines: Iterable[Line]) -> Iterator[str]:
    """Align cells as Go's text/tabwriter does: a column spans adjacent lines that go on beyond it."""
    table = [list(line) for line in lines]
    for at in range(max(map(len, table), default=0) - 1):
        for goes_on, run in groupby(table, key=lambda line: len(line) > at + 1):
            if goes_on:
                block = list(run)
                width = max(len(line[at]) for line in block) + PADDING
                for line in block:
                    line[at] = line[at].ljust(width)
    return ("".join(line) for line in table)


def _in_order(report: Report) -> list[NodeReport]:
    """The node itself first, the others as they are."""
    return sorted(report.nodes, key=lambda node: node.name != report.local)


def _summary(report: Report) -> Line:
    healthy = sum(map(is_healthy, report.nodes))
    interval = (f"(Probe interval: {report.interval})",) if report.interval else ()
    return ("Cluster health:", f"{healthy}/{len(report.nodes)} reachable", f"({report.timestamp})", *interval)


def _head(report: Report) -> list[Line]:
    return [_summary(report), ("Name", "IP", "Node", "Endpoints")]


def _row(report: Report, node: NodeReport) -> Line:
    return ("  " + _name(report, node), _addresses(node), str(count(node.host)), str(count(node.endpoint)))


def _name(report: Report, node: NodeReport) -> str:
    return node.name + (" (localhost)" if node.name == report.local else "")


def _addresses(node: NodeReport, most: int | None = None) -> str:
    paths = node.host.paths[:most] if node.host is not None else ()
    return ",".join(path.ip for path in paths) or "Unavailable"


def _word(side: Addresses | None) -> str:
    return of_node(NodeReport("", side)).value if side is not None else "none"


def _side(name: str, side: Addresses | None) -> Iterator[Line]:
    if side is None or side.primary is None:
        yield (f"    {name} connectivity:", "nil")
    for at, path in enumerate(side.paths if side is not None else ()):
        rank = "Secondary " if at or (side is not None and side.primary is None) else ""
        yield (f"    {rank}{name} connectivity to {path.ip}:",)
        if path.icmp is not None:
            yield _outcome("ICMP to stack", path.icmp)
        if path.http is not None:
            yield _outcome("HTTP to agent", path.http)
        if path.mtu is not None and swallows(path):
            yield _outcome(f"ICMP of {path.mtu.size} bytes", path.mtu)


def _outcome(what: str, outcome: Outcome) -> Line:
    found = f"OK, RTT={duration.text(outcome.latency)}" if outcome.ok else outcome.status
    return (f"      {what}:", found, f"(Last probed: {outcome.last_probed})")


def _cells(path: Path | None) -> Line:
    if path is None:
        return "-", "-"
    hole = " !MTU" if swallows(path) else ""
    return _cell(path.icmp) + hole, _cell(path.http)


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "?"
    return f"{outcome.latency / 1e6:.2f}ms" if of_outcome(outcome) is State.REACHABLE else "FAIL"
