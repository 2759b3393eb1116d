"""Endpoints found again after a reboot, or after whatever else took their pins and left the state directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cilium_py.errors import CiliumPyError, EndpointMissing
from cilium_py.node import peers, setup
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import interface, lifecycle, overview, states, status, store
from .delete import delete
from .model import Endpoint

INTACT, RESTORED, ORPHAN, REMOVED, FAILED = "intact", "restored", "orphan", "removed", "failed"


class Outcome(NamedTuple):
    """What became of an endpoint."""

    endpoint: int
    name: str
    outcome: str
    reason: str = ""


def restore(paths: NodePaths, remove_orphans: bool = False) -> Iterator[Outcome]:
    """Complete the node and all its endpoints; tell of each. Orphans stay unless they are to be removed."""
    node = NodeConfig.load(paths)
    completed = complete(paths, node)
    for endpoint_id in store.ids(paths):
        try:
            yield _restore(paths, completed, store.load(paths, endpoint_id), completed != node, remove_orphans)
        except EndpointMissing:
            # Deleted since the directory was listed.
            continue


def complete(paths: NodePaths, node: NodeConfig) -> NodeConfig:
    """Make what the node lacks of bpffs, maps and devices; return it with the devices that it has now."""
    if not overview.missing(paths, node):
        return node
    completed = setup.init(paths, node)
    peers.sync(paths, completed, (), completed.roster(paths).all())
    return completed


def find_again(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[NodeConfig, Endpoint]:
    """An endpoint whose lock the caller holds, on a complete node, with the interface that it has now or gets."""
    what = "its interface is another" if not status.is_present(node, endpoint) else "its pins are gone"
    lifecycle.restores(paths, endpoint.id, f"Restoring endpoint: {what}")
    node = complete(paths, node)
    return node, interface.provide(node, endpoint)


def is_orphan(node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether the workload is gone: its namespace, or an interface that was there before the endpoint."""
    namespace = endpoint.namespace
    if namespace is not None and not namespace.exists():
        return True
    return not endpoint.owns_interface and not status.is_present(node, endpoint)


def _restore(
    paths: NodePaths, node: NodeConfig, endpoint: Endpoint, node_is_new: bool, remove_orphans: bool
) -> Outcome:
    from .regenerate import Build, regenerate

    if is_orphan(node, endpoint):
        where = endpoint.netns if endpoint.netns is not None else endpoint.interface
        if remove_orphans:
            delete(paths, endpoint.id)
        return Outcome(endpoint.id, endpoint.name, REMOVED if remove_orphans else ORPHAN, f"{where} is gone")
    if not node_is_new and status.state_of(paths, node, endpoint) == states.READY:
        return Outcome(endpoint.id, endpoint.name, INTACT)
    try:
        regenerate(paths, endpoint.id, Build(reason="restored"))
    except CiliumPyError as error:
        return Outcome(endpoint.id, endpoint.name, FAILED, error.message)
    return Outcome(endpoint.id, endpoint.name, RESTORED)
