"""Take an endpoint away with all that belongs to it, whatever part of that there is."""

from __future__ import annotations

from cilium_py.loader import endpoint as programs
from cilium_py.loader import state
from cilium_py.node import entries, templates
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.policy import realize

from . import history, interface, lifecycle, relabel, store
from .attachment import hooks
from .model import Endpoint


def delete(paths: NodePaths, endpoint_id: int) -> Endpoint:
    """Delete the endpoint; return what it was. Its interface goes too if `add` made it."""
    store.load(paths, endpoint_id)
    with state.locked(store.lock_of(paths, endpoint_id)):
        endpoint = store.load(paths, endpoint_id)
        identity_is_free = delete_locked(paths, NodeConfig.load(paths), endpoint)
    if identity_is_free:
        realize.refresh_others(paths, endpoint_id)
    return endpoint


def delete_locked(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> bool:
    """Delete an endpoint whose lock the caller holds; True if nobody has its identity any more.

    The interface goes first, so that no packet of the endpoint passes without its programs, and the state
    directory last, so that a delete that was cut short can be asked for again.
    """
    lifecycle.disconnects(paths, endpoint.id)
    interface.withdraw(node, endpoint)
    entries.drop_local(paths, endpoint.addresses)
    programs.remove(paths, endpoint.id, *hooks(paths, node, endpoint))
    identities, user = node.identity_store(paths), f"{node.name}/{endpoint.id}"
    # All of them, also those of a change of labels that was cut short.
    freed = [identities.release(user + part) for part in ("", *relabel.TEMPORARY)]
    for directory in (paths.endpoint_next, paths.endpoint_failed, paths.endpoint):
        state.remove_directory(directory(endpoint.id))
    templates.prune(paths)
    history.forget(paths, endpoint.id)
    store.lock_of(paths, endpoint.id).unlink(missing_ok=True)
    return any(freed)
