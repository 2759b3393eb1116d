"""What a failing node suffers from, concluded from which probes of which paths fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from .model import NodeReport, Path, Report
from .verdict import State, of_node, of_path, swallows


class Finding(NamedTuple):
    """One node, and in a line what is wrong with it or with the way to it."""

    node: str
    cause: str


class Symptom(Enum):
    """Of one path, by its two probes."""

    FINE = "fine"
    DEAD = "nothing passes"
    REFUSED = "ICMP passes, HTTP is refused"
    MUTE = "ICMP passes, HTTP does not"
    PINGLESS = "HTTP passes, ICMP does not"


def diagnose(report: Report) -> list[Finding]:
    """A finding for each node that is unreachable in part, or loses large packets."""
    failing = [node for node in report.nodes if _fails(node)]
    if _is_own_fault(report, failing):
        return [Finding(report.local, "no other node is reachable: this node's link or routes")]
    return [Finding(node.name, "; ".join(_causes(node))) for node in failing]


def symptom(path: Path) -> Symptom:
    icmp_fails = path.icmp is not None and not path.icmp.ok
    if path.http is None or path.http.ok:
        return (Symptom.DEAD if path.http is None else Symptom.PINGLESS) if icmp_fails else Symptom.FINE
    if icmp_fails or path.icmp is None:
        return Symptom.DEAD
    return Symptom.REFUSED if "refused" in path.http.status.lower() else Symptom.MUTE


def _fails(node: NodeReport) -> bool:
    return of_node(node) is State.UNREACHABLE or any(map(swallows, _paths(node)))


def _is_own_fault(report: Report, failing: Sequence[NodeReport]) -> bool:
    others = [node for node in report.nodes if node.name != report.local]
    dead = [node for node in failing if node.name != report.local and _all_dead(_paths(node))]
    return len(others) > 1 and len(dead) == len(others) and len(failing) == len(others)


def _causes(node: NodeReport) -> Iterator[str]:
    hosts = node.host.paths if node.host is not None else ()
    endpoints = node.endpoint.paths if node.endpoint is not None else ()
    lost = _lost_family([*hosts, *endpoints])
    if lost:
        yield f"IPv{lost} is lost, IPv{10 - lost} works: routes or filters of one family"
        hosts, endpoints = (
            tuple(path for path in side if _version(path) != lost) for side in (hosts, endpoints)
        )  # fmt: skip
    elif _all_dead([*hosts, *endpoints]):
        yield "nothing of it answers: the node is down, or the network between"
        return
    if any(side is not None and side.primary is None for side in (node.host, node.endpoint)):
        yield "its primary address is not known"
    if hosts and all(symptom(path) is Symptom.DEAD for path in hosts):
        yield "its endpoint answers, the node itself does not: a filter on the node"
    else:
        yield from _causes_at(hosts, "the node's agent is down", "the node")
    if endpoints and all(symptom(path) is Symptom.DEAD for path in endpoints):
        yield "the node answers, its health endpoint does not: its datapath or policy, or the overlay between"
    else:
        yield from _causes_at(endpoints, "the responder of the health endpoint is down", "the health endpoint")


def _causes_at(paths: Sequence[Path], down: str, what: str) -> Iterator[str]:
    """What the paths of one side suffer from, each kind once."""
    by_symptom = {kind: [path.ip for path in paths if symptom(path) is kind] for kind in Symptom}
    if by_symptom[Symptom.REFUSED]:
        yield f"ICMP passes, HTTP is refused: {down}"
    if by_symptom[Symptom.MUTE]:
        yield f"ICMP passes, HTTP does not: TCP port 4240 of {what} is filtered, or its responder hangs"
    if by_symptom[Symptom.PINGLESS]:
        yield f"HTTP passes, ICMP does not: ICMP to {what} is filtered"
    if by_symptom[Symptom.DEAD]:
        yield f"no answer from {', '.join(by_symptom[Symptom.DEAD])}, others of {what} answer"
    holes = [path for path in paths if swallows(path)]
    if holes:
        sizes = {path.mtu.size for path in holes if path.mtu is not None}
        yield (
            f"packets of {max(sizes)} bytes to {what} vanish, small ones pass: MTU black hole on the way "
            f"to {', '.join(path.ip for path in holes)}"
        )


def _lost_family(paths: Sequence[Path]) -> int | None:
    """The family of which nothing answers, while all that there is of the other does."""
    versions = {version: [path for path in paths if _version(path) == version] for version in (4, 6)}
    for version in (4, 6):
        mine, others = versions[version], versions[10 - version]
        alive = any(symptom(path) is not Symptom.DEAD and of_path(path) is not State.UNKNOWN for path in others)
        if mine and alive and _all_dead(mine) and not any(symptom(path) is Symptom.DEAD for path in others):
            return version
    return None


def _all_dead(paths: Sequence[Path]) -> bool:
    return bool(paths) and all(symptom(path) is Symptom.DEAD for path in paths)


def _paths(node: NodeReport) -> tuple[Path, ...]:
    return tuple(path for side in (node.host, node.endpoint) if side is not None for path in side.paths)


def _version(path: Path) -> int:
    return 6 if ":" in path.ip else 4
