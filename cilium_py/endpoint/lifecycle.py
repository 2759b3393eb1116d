"""The steps of an endpoint's life, as its log records them."""

from __future__ import annotations

import contextlib

from cilium_py.errors import EndpointMissing, RegenerationFailed, said
from cilium_py.paths import NodePaths

from . import history, states

_ON_THE_WAY = (states.WAITING_TO_REGENERATE, states.RESTORING)
_GOING = (states.NEW, states.DISCONNECTING, states.DISCONNECTED)


def awaits_identity(paths: NodePaths, endpoint_id: int, why: str) -> None:
    """The endpoint is new, or its labels change."""
    if history.recorded(paths, endpoint_id) in (states.NEW, states.READY, states.REGENERATING):
        history.move(paths, endpoint_id, states.WAITING_FOR_IDENTITY, why)


def has_identity(paths: NodePaths, endpoint_id: int, identity: int) -> None:
    if history.recorded(paths, endpoint_id) == states.WAITING_FOR_IDENTITY:
        history.move(paths, endpoint_id, states.READY, f"Identity {identity}")


def request(paths: NodePaths, endpoint_id: int, why: str) -> None:
    """A regeneration is asked for. One of an endpoint that awaits an identity is recorded when it has that.

    Raises EndpointMissing if the endpoint is being deleted, RegenerationFailed if its state forbids it otherwise.
    """
    recorded = history.recorded(paths, endpoint_id)
    if recorded in (*_ON_THE_WAY, states.WAITING_FOR_IDENTITY):
        return
    if recorded is states.NEW:
        history.move(paths, endpoint_id, states.RESTORING, "Found in the state directory")
    elif not history.move(paths, endpoint_id, states.WAITING_TO_REGENERATE, why):
        recorded = history.recorded(paths, endpoint_id)
        if recorded not in _ON_THE_WAY:
            kind = EndpointMissing if recorded in _GOING else RegenerationFailed
            message = f"endpoint {endpoint_id}: not regenerated: it is {recorded}"
            raise kind(message, hint=f"cilium-py endpoint log {endpoint_id}")


def restores(paths: NodePaths, endpoint_id: int, why: str) -> None:
    history.move(paths, endpoint_id, states.RESTORING, why)


def begins(paths: NodePaths, endpoint_id: int, why: str, identity: int = 0) -> None:
    """The build that was asked for begins. The caller holds the endpoint's lock.

    So if the endpoint still awaits an identity, whoever was to give it another was cut short, and it keeps its own.
    """
    if identity:
        has_identity(paths, endpoint_id, identity)
    elif history.recorded(paths, endpoint_id) == states.WAITING_FOR_IDENTITY:
        raise RegenerationFailed(
            f"endpoint {endpoint_id}: not regenerated: it has no identity", hint="`endpoint add` again completes it"
        )
    request(paths, endpoint_id, why)
    history.move(paths, endpoint_id, states.REGENERATING, f"Regenerating endpoint: {why}", builder=True)


def succeeded(paths: NodePaths, endpoint_id: int, why: str) -> None:
    """The build is done. That it cannot be written down, for want of space, say, does not undo it."""
    with contextlib.suppress(OSError):
        _ends(paths, endpoint_id)
        message = f"Successfully regenerated endpoint program (Reason: {why})"
        history.note(paths, endpoint_id, history.OK, history.BPF, message)


def failed(paths: NodePaths, endpoint_id: int, error: Exception) -> None:
    """The build failed; the programs of the last one run on."""
    with contextlib.suppress(OSError):
        _ends(paths, endpoint_id)
        history.note(paths, endpoint_id, history.FAILURE, history.BPF, f"Not regenerated: {said(error)}")


def disconnects(paths: NodePaths, endpoint_id: int) -> None:
    if history.recorded(paths, endpoint_id) not in (states.NEW, states.DISCONNECTING):
        history.move(paths, endpoint_id, states.DISCONNECTING, "Deleting endpoint")


def _ends(paths: NodePaths, endpoint_id: int) -> None:
    """Unless another build was asked for meanwhile, which the state goes on to say."""
    if history.recorded(paths, endpoint_id) == states.REGENERATING:
        history.move(paths, endpoint_id, states.READY, "No further regeneration is asked for", builder=True)
