"""What only the living node can tell: how its endpoints are, its own state, its probes. Asked when it is saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cilium_py.endpoint import history, states, status, store
from cilium_py.endpoint.model import Endpoint
from cilium_py.endpoint.overview import Overview, overview
from cilium_py.endpoint.status import Condition
from cilium_py.errors import CiliumPyError, said
from cilium_py.health import endpoint as health_endpoint
from cilium_py.health.client import Client, NoProber, find_socket
from cilium_py.health.endpoint import HealthEndpoint
from cilium_py.health.history import Summary
from cilium_py.health.model import Report
from cilium_py.node.config import FILE, NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.snapshot.bounded import object_of, parsed, several, typed

DIRECTORY = "answers"
"""Below the state directory of a recording."""
CONDITIONS, NODE, PROBES, RESPONDER = "endpoints", "node", "probes", "health-endpoint"


class Probes(NamedTuple):
    """What the node's prober answered."""

    report: Report
    history: list[Summary] | None
    """None of Cilium's own prober, which keeps none."""
    daemon: dict[str, Any]  # the document as it came


def ask(paths: NodePaths, unanswered: list[str]) -> dict[str, bytes]:
    """File of the recording -> what it is to say; nothing of what the node does not have.

    What fails is left out, and noted in `unanswered`.
    """
    questions: dict[str, Callable[[], Any]] = {PROBES: lambda: _probes(paths)}
    if (paths.state_dir / FILE).exists():
        questions |= {
            CONDITIONS: lambda: _conditions(paths),
            NODE: lambda: overview(paths)._asdict(),
            RESPONDER: lambda: _responder(paths),
        }
    found = {}
    for name, question in questions.items():
        try:
            answer = question()
        except (CiliumPyError, OSError) as error:
            unanswered.append(f"{name}: {said(error)}")
            continue
        if answer is not None:
            found[f"{DIRECTORY}/{name}.json"] = json.dumps(answer).encode()
    return found


def _conditions(paths: NodePaths) -> dict[int, dict[str, Any]]:
    node = NodeConfig.load(paths)
    return {each.id: status.condition(paths, node, each)._asdict() for each in store.all(paths)}


def _responder(paths: NodePaths) -> dict[str, Any] | None:
    """None where there is no health endpoint."""
    return health_endpoint.status(paths)._asdict() if health_endpoint.recorded(paths) is not None else None


def _probes(paths: NodePaths) -> dict[str, Any] | None:
    """None where no prober runs."""
    try:
        path = find_socket(paths)
        if not path.exists():
            return None
        prober = Client(path)
        found: dict[str, Any] = {"report": prober.status().document(), "history": None, "daemon": prober.healthz()}
        with suppress(CiliumPyError):
            found["history"] = [each._asdict() for each in prober.history()]
    except NoProber:
        return None
    return found


def conditions(paths: NodePaths) -> dict[int, Condition]:
    """How the recorded endpoints were; of those that nobody was asked about, what their log says last."""
    path, document = _read(paths, CONDITIONS)
    known = {name: typed(each, Condition, path) for name, each in object_of(document or {}, path).items()}
    return {each.id: known.get(str(each.id)) or _logged(paths, each) for each in store.all(paths)}


def _logged(paths: NodePaths, endpoint: Endpoint) -> Condition:
    state, _ = history.current(paths, endpoint.id)
    return Condition(state or states.UNKNOWN, [])


def node(paths: NodePaths) -> Overview:
    path, document = _read(paths, NODE)
    if document is None:
        raise _silent(paths, "how the node was")
    return typed(document, Overview, path)


def responder(paths: NodePaths) -> HealthEndpoint:
    path, document = _read(paths, RESPONDER)
    if document is None:
        raise _silent(paths, "a health endpoint")
    return typed(document, HealthEndpoint, path)


def probes(paths: NodePaths) -> Probes | None:
    """None where no prober ran."""
    path, document = _read(paths, PROBES)
    if document is None:
        return None
    found = object_of(document, path)
    kept = found.get("history")
    summaries = several(kept, Summary, path) if kept is not None else None
    return Probes(Report.read(found.get("report")), summaries, object_of(found.get("daemon"), path))


def past_of(paths: NodePaths, found: Probes) -> list[Summary]:
    if found.history is None:
        raise _silent(paths, "past probes")
    return found.history


def required_probes(paths: NodePaths) -> Probes:
    found = probes(paths)
    if found is None:
        raise _silent(paths, "probes")
    return found


def _silent(paths: NodePaths, of: str) -> CiliumPyError:
    return CiliumPyError(f"{paths.bpf_root}: says nothing of {of}", "a snapshot does, of a node of ours that has it")


def _read(paths: NodePaths, name: str) -> tuple[Path, Mapping[str, Any] | None]:
    path = paths.state_dir / DIRECTORY / f"{name}.json"
    try:
        return path, parsed(path.read_bytes(), path)
    except FileNotFoundError:
        return path, None
