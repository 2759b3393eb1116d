"""How a report is to be read: reachable, unreachable or unknown, by Cilium's rules."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from .model import Addresses, NodeReport, Outcome, Path, Report

ALL_REACHABLE, SOME_UNREACHABLE, SOME_UNKNOWN = 0, 1, 3
"""Exit codes of `health status`."""


class State(Enum):
    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class Count(NamedTuple):
    """The paths of one side of a node."""

    reachable: int = 0
    unknown: int = 0
    total: int = 0
    healthy: bool = True

    def __str__(self) -> str:
        return f"{self.reachable}/{self.total}" + (f" ({self.unknown} unknown)" if self.unknown else "")


def of_outcome(outcome: Outcome | None) -> State:
    if outcome is None:
        return State.UNKNOWN
    return State.REACHABLE if outcome.ok else State.UNREACHABLE


def of_path(path: Path | None) -> State:
    """Unreachable if either probe failed, or if there is no address."""
    return _worst((of_outcome(path.icmp), of_outcome(path.http))) if path is not None else State.UNREACHABLE


def of_node(node: NodeReport) -> State:
    """The worst of its paths."""
    sides = [side for side in (node.host, node.endpoint) if side is not None]
    return _worst(of_path(path) for side in sides for path in (side.primary, *side.secondary))


def count(side: Addresses | None) -> Count:
    if side is None:
        return Count()
    states = [of_path(path) for path in (side.primary, *side.secondary)]
    return Count(
        states.count(State.REACHABLE), states.count(State.UNKNOWN), len(states), State.UNREACHABLE not in states
    )


def is_healthy(node: NodeReport) -> bool:
    """Whether no path failed; what is unknown does not count against the node."""
    return of_node(node) is not State.UNREACHABLE


def swallows(path: Path) -> bool:
    """Whether small packets pass and large ones are lost."""
    return path.icmp is not None and path.icmp.ok and path.mtu is not None and not path.mtu.ok


def exit_code(report: Report) -> int:
    """0 all is reachable, 1 some path is not or loses large packets, 3 not all is known yet."""
    states = {of_node(node) for node in report.nodes}
    if State.UNREACHABLE in states or any(swallows(leg.path) for leg in report.legs()):
        return SOME_UNREACHABLE
    return SOME_UNKNOWN if State.UNKNOWN in states or not report.nodes else ALL_REACHABLE


def _worst(states: Iterable[State]) -> State:
    found = set(states)
    for state in (State.UNREACHABLE, State.UNKNOWN):
        if state in found:
            return state
    return State.REACHABLE
