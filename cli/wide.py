"""Connections as `flow list` and `ct list -o wide` show them: joined with all that belongs to them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cilium_py.cli.context import Settings
from cilium_py.cli.select import Subject, list_joined
from cilium_py.explain.flows import Flow, fields, flows
from cilium_py.explain.known import Known, said
from cilium_py.explain.present import Present
from cilium_py.node.runtime import Clock
from cilium_py.render import Output
from cilium_py.schema import Table
from cilium_py.table import OpenTable


class FlowSubject(Subject):
    """Flows, of which some fields are durations."""

    def fields(self) -> Any:
        return fields()


SUBJECT = FlowSubject("flow", Flow)


def present_of(where: Settings, clock: Clock) -> Present:
    """The present, or that of the recording."""
    wall = time.time() if where.recording is None else where.recording.wall
    return Present(clock, where.now(clock), wall)


def list_flows(
    where: Settings, form: Output, tables: Iterable[OpenTable[Any]], scope: int | None, present: Present
) -> None:
    """Write the connections of conntrack tables that the options ask for; `scope` is the cluster they are of."""
    with Known(where.pins, where.paths) as known:
        list_joined(where, form, lambda node: flows(known, present, tables, node, scope), Flow, TEXT, SUBJECT)


def duration(seconds: int | None) -> str:
    """3d4h, 2h5m, 1m12s or 7s."""
    if seconds is None:
        return "-"
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds >= 3600:
        return hours(seconds // 60)
    return f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"


@lru_cache(1 << 12)
def hours(minutes: int) -> str:
    """Of an hour or more."""
    days, rest = divmod(minutes, 1440)
    return f"{days}d{rest // 60}h" if days else f"{rest // 60}h{rest % 60}m"


def arrows(row: Flow) -> str:
    """10.0.0.1:4000 -> 10.96.0.1:443 -> 10.0.1.7:6443, and what the source is translated to."""
    _, _, source, source_port, service, service_port, destination, port, nat_address, nat_port, *_ = row
    text = said(source, source_port)
    if nat_address is not None and (nat_address, nat_port) != (source, source_port):
        text += f" (as {said(nat_address, nat_port)})"
    if service is not None:
        text += f" -> {said(service, service_port)}"
    if destination is None:
        return f"{text} -> backend {row.backend_id}, which is gone"
    if service != destination or service_port != port:
        text += f" -> {said(destination, port)}"
    return text


def who(identity: int | None, labels: Iterable[str], endpoint: int | None) -> str:
    """container:app=web [endpoint 3], or the number of an identity without labels."""
    name = " ".join(labels) or ("-" if identity is None else str(identity))
    return f"{name} [{endpoint}]" if endpoint is not None else name


def cells(row: Flow) -> tuple[str, ...]:
    (
        protocol, entries, _, _, _, _, _, _, _, _, related, state, packets, size, remaining, expires, identity, labels,
        endpoint, other, others, target, _, _, _, _,
    ) = row  # fmt: skip
    return (
        f"{protocol} related" if related else protocol, arrows(row), state or "-", duration(remaining), expires or "-",
        "+".join(entries), who(identity, labels, endpoint), who(other, others, target), str(packets), str(size),
    )  # fmt: skip


TITLES = ("PROTO", "FLOW", "STATE", "LEFT", "EXPIRES", "ENTRIES", "FROM", "TO", "PACKETS", "BYTES")
TEXT = Table(TITLES, cells, padded="none")
