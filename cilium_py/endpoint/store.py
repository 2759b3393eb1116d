"""Endpoints on disk: one directory each, found by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from cilium_py.errors import CiliumPyError, EndpointMissing, Partial
from cilium_py.loader import state
from cilium_py.node.config import HOST_ENDPOINT_ID
from cilium_py.paths import NodePaths

from .model import Endpoint

DOCUMENT = "ep_config.json"


def lock_of(paths: NodePaths, endpoint_id: int) -> Path:
    """The lock that whoever changes the endpoint holds."""
    return paths.state_dir / "locks" / f"endpoint-{endpoint_id}"


def allocation_lock(paths: NodePaths) -> Path:
    """The lock that whoever takes an id or an address holds."""
    return paths.state_dir / "locks" / "endpoints"


def ids(paths: NodePaths) -> list[int]:
    """Every endpoint, complete or begun, in order."""
    try:
        names = [entry.name.removesuffix("_fail").removesuffix("_next") for entry in paths.state_dir.iterdir()]
    except FileNotFoundError:
        return []
    return sorted({int(name) for name in names if name.isdecimal()})


def load(paths: NodePaths, endpoint_id: int) -> Endpoint:
    """Read an endpoint. One whose first build was cut short, or failed, has only that work directory."""
    for directory in (paths.endpoint, paths.endpoint_next, paths.endpoint_failed):
        try:
            return _read(directory(endpoint_id) / DOCUMENT)
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise EndpointMissing(f"endpoint {endpoint_id}: no such endpoint", hint="`cilium-py endpoint list` shows them")


def all(paths: NodePaths) -> Iterator[Endpoint]:
    """Read every endpoint, by id. Raises Partial after the last if one of them cannot be read."""
    damaged: list[CiliumPyError] = []
    for endpoint_id in ids(paths):
        try:
            yield load(paths, endpoint_id)
        except EndpointMissing:
            # Deleted since the directory was listed.
            continue
        except CiliumPyError as error:
            damaged.append(error)
    if damaged:
        raise Partial(f"left out: {'; '.join(error.message for error in damaged)}", damaged[0].hint)


def save(directory: Path, endpoint: Endpoint) -> None:
    state.write_json(directory / DOCUMENT, endpoint.document())


def free_id(taken: Iterable[int]) -> int:
    used = set(taken)
    number = next((n for n in range(1, HOST_ENDPOINT_ID) if n not in used), None)
    if number is None:
        raise CiliumPyError("every endpoint id is taken")
    return number


def _read(path: Path) -> Endpoint:
    try:
        return Endpoint.of_document(json.loads(path.read_text()))
    except ValueError as error:
        hint = f"remove {path.parent}, then `cilium-py endpoint add` makes it anew"
        raise CiliumPyError(f"{path}: not an endpoint: {error}", hint) from error
