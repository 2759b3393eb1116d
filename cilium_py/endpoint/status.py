"""The state of an endpoint, from what is there: its directories, its links, its interface, its lock."""

from __future__ import annotations

from cilium_py.errors import CiliumPyError
from cilium_py.loader import attach, state
from cilium_py.loader.pins import FROM_CONTAINER, TO_CONTAINER, calls_pin, policy_pin
from cilium_py.net.namespace import inside
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import store
from .attachment import hooks
from .model import Endpoint

READY, NOT_READY, REGENERATING = "ready", "not-ready", "regenerating"
WAITING, DISCONNECTED = "waiting-to-regenerate", "disconnected"


def state_of(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> str:
    """In Cilium's words."""
    if state.is_locked(store.lock_of(paths, endpoint.id)):
        return REGENERATING
    if not is_present(node, endpoint):
        return DISCONNECTED
    if not paths.endpoint(endpoint.id).exists():
        return WAITING
    return READY if is_complete(paths, node, endpoint) else NOT_READY


def is_complete(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether the last build went well and all that it made is in place."""
    built = paths.endpoint(endpoint.id).exists() and not paths.endpoint_failed(endpoint.id).exists()
    return built and is_present(node, endpoint) and not problems(paths, node, endpoint)


def is_present(node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether the host side still is the interface that it was."""
    import socket

    try:
        with inside(node.namespace):
            return socket.if_nametoindex(endpoint.interface) == endpoint.interface_index
    except (OSError, CiliumPyError):
        return False


def problems(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> list[str]:
    """What of the endpoint is missing, each in a few words; empty if all is there."""
    found = []
    for name, hook in zip((FROM_CONTAINER, TO_CONTAINER), hooks(paths, node, endpoint), strict=True):
        if not attach.is_attached(name, hook):
            found.append(f"{name} is not attached to {endpoint.interface}")
    found += [
        f"{pin.name} is not pinned"
        for pin in (policy_pin(paths, endpoint.id), calls_pin(paths, endpoint.id))
        if not pin.exists()
    ]
    return found


def policy_words(enforces: bool, endpoint: Endpoint) -> str:
    """How a direction's policy stands, as `endpoint list` says it."""
    if not enforces:
        return "Disabled"
    return "Disabled (Audit)" if endpoint.options["PolicyAuditMode"] else "Enabled"
