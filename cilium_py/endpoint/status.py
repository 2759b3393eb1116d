"""The state of an endpoint: what is recorded of it, held against its directories, links, interface and lock."""

from __future__ import annotations

from typing import NamedTuple

from cilium_py.errors import CiliumPyError
from cilium_py.loader import attach, state
from cilium_py.loader.pins import FROM_CONTAINER, TO_CONTAINER, calls_pin, policy_pin
from cilium_py.net import libc
from cilium_py.net.namespace import inside
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import history, states, store
from .attachment import hooks
from .model import Endpoint


class Condition(NamedTuple):
    """How an endpoint is: its state, and what of it is missing, each in a few words."""

    state: str
    problems: list[str]
    enforces: bool = True
    """Whether it is known which directions its policy enforces."""


def condition(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> Condition:
    return Condition(state_of(paths, node, endpoint), problems(paths, node, endpoint))


def state_of(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> str:
    """In Cilium's words. A state that passes counts only while somebody works on the endpoint, who may have died."""
    recorded, word = history.current(paths, endpoint.id)
    if recorded in states.PASSING and state.is_locked(store.lock_of(paths, endpoint.id)):
        return recorded
    if not is_present(node, endpoint):
        return states.DISCONNECTED
    if not paths.endpoint(endpoint.id).exists():
        return states.WAITING_TO_REGENERATE
    if lost_its_pins(paths, endpoint):
        return states.RESTORING
    well = is_complete(paths, node, endpoint) and word == history.OK
    return states.READY if well else states.NOT_READY


def is_lost(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether a regeneration has first to find the endpoint's interface again."""
    return not is_present(node, endpoint) or (paths.endpoint(endpoint.id).exists() and lost_its_pins(paths, endpoint))


def lost_its_pins(paths: NodePaths, endpoint: Endpoint) -> bool:
    """Whether nothing in bpffs is the endpoint's any more, as after a reboot that left the state directory."""
    pins = (policy_pin(paths, endpoint.id), calls_pin(paths, endpoint.id), paths.endpoint_links(endpoint.id))
    return not any(pin.exists() for pin in pins)


def is_complete(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether the last build went well and all that it made is in place."""
    built = paths.endpoint(endpoint.id).exists() and not paths.endpoint_failed(endpoint.id).exists()
    return built and is_present(node, endpoint) and not problems(paths, node, endpoint)


def is_present(node: NodeConfig, endpoint: Endpoint) -> bool:
    """Whether the host side still is the interface that it was."""
    try:
        with inside(node.namespace):
            return libc.if_nametoindex(endpoint.interface) == endpoint.interface_index
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
