"""The entry of a policy map that decides over a new packet, found as the programs find it."""

from __future__ import annotations

from typing import NamedTuple

from cilium_py.endpoint import store
from cilium_py.errors import CiliumPyError, MapMissing
from cilium_py.maps.auth import AUTH_TYPES
from cilium_py.maps.policy import Row
from cilium_py.policy import entries
from cilium_py.policy.mapstate import ANYONE
from cilium_py.policy.ports import L4, exactly
from cilium_py.schema.text import parse_protocol

from .known import Known

AUTH_NUMBERS = {name: number for number, name in AUTH_TYPES.items()}


class Verdict(NamedTuple):
    """What an endpoint's policy says of a new connection, in one direction."""

    direction: str
    endpoint: int
    peer: str
    """Address and port of the other end."""
    identity: int
    labels: list[str]
    allowed: bool | None
    """None where no entry is for it, and nobody knows whether the direction is enforced."""
    enforced: bool | None
    entry: str
    """The entry that decides; empty if none does."""
    proxy_port: int | None
    auth_type: str
    packets: int | None
    """What that entry was counted for."""
    bytes: int | None
    precedence: int | None
    """Of the entry, since 1.19."""


class PolicyUnread(NamedTuple):
    """An endpoint whose policy could not be read."""

    endpoint: int
    why: str


def verdict(
    known: Known, endpoint_id: int, direction: str, identity: int, protocol: int, port: int, peer: str
) -> Verdict | PolicyUnread:  # fmt: skip
    """Ask the policy map of an endpoint."""
    try:
        found, other = _deciding(known, endpoint_id, direction, identity, exactly(protocol, port))
    except MapMissing as error:
        return PolicyUnread(endpoint_id, error.message)
    enforced = _enforced(known, endpoint_id, direction)
    labels = known.labels_of(identity)
    if found is None:
        allowed = None if enforced is None else not enforced
        return Verdict(
            direction, endpoint_id, peer, identity, labels, allowed, enforced, "", None, "disabled", None, None, None
        )  # fmt: skip
    who = known.name(found.identity) if found.identity else "ANY"
    l4 = L4(parse_protocol(found.protocol), found.port or 0, found.prefix_length)
    return Verdict(
        direction, endpoint_id, peer, identity, labels, found.action == "allow", enforced,
        f"{found.action} {found.direction} {who} {l4}", found.proxy_port, _auth_type(found, other), found.packets,
        found.bytes, found.precedence,
    )  # fmt: skip


def _deciding(
    known: Known, endpoint_id: int, direction: str, identity: int, l4: L4
) -> tuple[Row | None, Row | None]:  # fmt: skip
    """The entry that decides, and the other one of those for the peer and for anyone."""
    where = entries.map_of(known.pins, f"{endpoint_id:05d}")
    rows: dict[tuple[int, L4], Row] = {
        (row.identity, L4(parse_protocol(row.protocol), row.port or 0, row.prefix_length)): row
        for row in (pair.row for pair in entries.pairs(where))
        if row.direction == direction and row.identity in (identity, ANYONE)
    }
    peer, anyone = (next((rows[w, p] for p in l4.broader() if (w, p) in rows), None) for w in (identity, ANYONE))
    if peer is None or (anyone is not None and _strength(anyone) > _strength(peer)):
        return anyone, peer
    return peer, anyone


def _strength(row: Row) -> tuple[int, int, int]:
    """Since 1.19 the precedence, then the longer prefix; before, a denial, the proxy's priority, then the prefix.

    Of two denials, before 1.19, the peer's own decides: anyone's is not looked for.
    """
    if row.precedence is not None:
        return row.precedence, 0, row.prefix_length
    if row.action == "deny":
        return 1, 0, 0
    return 0, row.proxy_port_priority or 0, row.prefix_length


def _auth_type(row: Row, other: Row | None) -> str:
    """What has to be done first: by an entry that does not say so itself, what the other one of its rank demands."""
    if other is None or row.action == "deny" or row.auth_explicit or other.precedence != row.precedence:
        return row.auth_type
    return max(row.auth_type, other.auth_type, key=lambda name: AUTH_NUMBERS.get(name, -1))


def _enforced(known: Known, endpoint_id: int, direction: str) -> bool | None:
    """Whether the direction is closed to what no entry allows; None where the state directory does not say."""
    if known.node is None:
        return None
    try:
        found = store.load(known.paths, endpoint_id)
    except (CiliumPyError, OSError):
        return None
    return found.enforces_ingress if direction == "ingress" else found.enforces_egress
