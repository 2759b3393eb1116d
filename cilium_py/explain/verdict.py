"""The entry of a policy map that decides over a new packet, found as the programs find it."""

from __future__ import annotations

from typing import NamedTuple

from cilium_py.endpoint import store
from cilium_py.errors import CiliumPyError, MapMissing
from cilium_py.maps.policy import Row
from cilium_py.policy import entries
from cilium_py.policy.mapstate import ANYONE
from cilium_py.policy.ports import L4, exactly
from cilium_py.schema.text import parse_protocol

from .known import Known


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


class PolicyUnread(NamedTuple):
    """An endpoint whose policy could not be read."""

    endpoint: int
    why: str


def verdict(
    known: Known, endpoint_id: int, direction: str, identity: int, protocol: int, port: int, peer: str
) -> Verdict | PolicyUnread:  # fmt: skip
    """Ask the policy map of an endpoint."""
    try:
        found = _deciding(known, endpoint_id, direction, identity, exactly(protocol, port))
    except MapMissing as error:
        return PolicyUnread(endpoint_id, error.message)
    enforced = _enforced(known, endpoint_id, direction)
    labels = known.labels_of(identity)
    if found is None:
        allowed = None if enforced is None else not enforced
        return Verdict(
            direction, endpoint_id, peer, identity, labels, allowed, enforced, "", None, "disabled", None, None
        )  # fmt: skip
    who = known.name(found.identity) if found.identity else "ANY"
    l4 = L4(parse_protocol(found.protocol), found.port or 0, found.prefix_length)
    return Verdict(
        direction, endpoint_id, peer, identity, labels, found.action == "allow", enforced,
        f"{found.action} {found.direction} {who} {l4}", found.proxy_port, found.auth_type, found.packets, found.bytes,
    )  # fmt: skip


def _deciding(known: Known, endpoint_id: int, direction: str, identity: int, l4: L4) -> Row | None:
    where = entries.map_of(known.pins, f"{endpoint_id:05d}")
    rows: dict[tuple[int, L4], Row] = {
        (row.identity, L4(parse_protocol(row.protocol), row.port or 0, row.prefix_length)): row
        for row in (pair.row for pair in entries.pairs(where))
        if row.direction == direction and row.identity in (identity, ANYONE)
    }
    peer, anyone = (next((rows[w, p] for p in l4.broader() if (w, p) in rows), None) for w in (identity, ANYONE))
    if peer is None or anyone is None:
        return peer or anyone
    if peer.precedence is not None and anyone.precedence is not None:
        return anyone if anyone.precedence > peer.precedence else peer
    return anyone if peer.action == "allow" and _strength(anyone) > _strength(peer) else peer


def _strength(row: Row) -> tuple[bool, int, int]:
    """A denial before all, then the proxy's priority, then the longer prefix."""
    return row.action == "deny", row.proxy_port_priority or 0, row.prefix_length


def _enforced(known: Known, endpoint_id: int, direction: str) -> bool | None:
    """Whether the direction is closed to what no entry allows; None where the state directory does not say."""
    if known.node is None:
        return None
    try:
        found = store.load(known.paths, endpoint_id)
    except (CiliumPyError, OSError):
        return None
    return found.enforces_ingress if direction == "ingress" else found.enforces_egress
