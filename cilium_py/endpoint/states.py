"""The states of an endpoint, which may follow which, and the words that its health has in each."""

from __future__ import annotations

from typing import NamedTuple

WAITING_FOR_IDENTITY = "waiting-for-identity"
WAITING_TO_REGENERATE = "waiting-to-regenerate"
REGENERATING = "regenerating"
RESTORING = "restoring"
READY = "ready"
NOT_READY = "not-ready"
"""Never recorded: an endpoint is that if it would be ready, but is not as it should be."""
DISCONNECTING = "disconnecting"
DISCONNECTED = "disconnected"
INVALID = "invalid"
UNKNOWN = "unknown"
"""Of an endpoint in a recording that does not say."""

NEW = None
"""What an endpoint is of which nothing is recorded."""

_ALLOWED: dict[str | None, tuple[str, ...]] = {
    NEW: (WAITING_FOR_IDENTITY, RESTORING),
    WAITING_FOR_IDENTITY: (READY, DISCONNECTING, INVALID),
    READY: (WAITING_FOR_IDENTITY, WAITING_TO_REGENERATE, RESTORING, DISCONNECTING),
    WAITING_TO_REGENERATE: (RESTORING, DISCONNECTING),
    RESTORING: (RESTORING, DISCONNECTING),
    REGENERATING: (WAITING_FOR_IDENTITY, WAITING_TO_REGENERATE, RESTORING, DISCONNECTING),
    DISCONNECTING: (DISCONNECTED,),
}
_ALLOWED_TO_BUILDER: dict[str | None, tuple[str, ...]] = {
    WAITING_TO_REGENERATE: (REGENERATING,),
    RESTORING: (REGENERATING,),
    REGENERATING: (READY,),
}

PASSING = (WAITING_FOR_IDENTITY, WAITING_TO_REGENERATE, REGENERATING, RESTORING, DISCONNECTING)
"""States that last as long as somebody works on the endpoint."""


class Health(NamedTuple):
    """How an endpoint is, in Cilium's words."""

    overall: str
    bpf: str
    policy: str
    connected: bool


_PENDING = Health("Pending", "Pending", "Pending", True)
_DISABLED = Health("Disabled", "Disabled", "Disabled", False)
_UNKNOWN = Health("Unknown", "Unknown", "Unknown", False)

HEALTH = {
    READY: Health("OK", "OK", "OK", True),
    NOT_READY: Health("Warning", "Warning", "Warning", True),
    REGENERATING: _PENDING,
    WAITING_TO_REGENERATE: _PENDING,
    DISCONNECTING: _PENDING,
    WAITING_FOR_IDENTITY: Health("Disabled", "Disabled", "Bootstrap", True),
    DISCONNECTED: _DISABLED,
    RESTORING: _DISABLED,
    INVALID: _DISABLED,
}


def health_in(state: str) -> Health:
    """The words of a state, which may be one that another release of Cilium has."""
    return HEALTH.get(state, _UNKNOWN)


def may_follow(before: str | None, after: str, builder: bool = False) -> bool:
    """Whether an endpoint may go from one state to another; `builder`: as a step of a regeneration."""
    return after in (_ALLOWED_TO_BUILDER if builder else _ALLOWED).get(before, ())
