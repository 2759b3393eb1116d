"""Everything that the maps say of who speaks to whom, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from cilium_py.endpoint import store
from cilium_py.endpoint.model import Endpoint
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps import ct, lb_services, metrics, nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT
from cilium_py.node.runtime import Clock
from cilium_py.policy.ports import ICMP, ICMPV6, TCP
from cilium_py.schema import Address, MapDef
from cilium_py.schema.reasons import FIRST_DROP_REASON
from cilium_py.schema.text import number, parse_ip, parse_protocol, protocol_name, unmapped
from cilium_py.select.fields import fields_of
from cilium_py.select.moment import Moment
from cilium_py.select.selection import Selection
from cilium_py.select.tree import Node, Within, all_of, any_of

from .flows import Flow, flow
from .known import Known, said
from .present import Present
from .verdict import PolicyUnread, Verdict, verdict

ECHO_REQUEST = {ICMP: 8, ICMPV6: 128}
MOST_BACKENDS = 8
"""Of which policy is asked."""


class End(NamedTuple):
    """One end of what is asked about."""

    address: Address
    port: int | None
    identity: int | None
    labels: list[str]
    endpoint: int | None
    host: bool
    """Whether it is an address of the node itself."""
    frontend: bool
    """Whether it is that of a service, which has no identity: packets to it go to a backend, and none comes from it."""


class Backend(NamedTuple):
    slot: int
    backend_id: int
    address: Address | None
    """None where no backend has the id."""
    port: int | None
    state: str


class Service(NamedTuple):
    """A service that has the destination for its frontend."""

    address: Address
    port: int
    protocol: str
    rev_nat: int
    flag_names: list[str]
    backends: list[Backend]


class Mapping(NamedTuple):
    """A translation, and whether its counterpart of the other direction is there."""

    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    to: Address
    to_port: int
    paired: bool


class Drop(NamedTuple):
    """Packets dropped on this node, whoever sent them, since it counts."""

    reason: str
    direction: str
    packets: int


class Page(NamedTuple):
    source: End
    destination: End
    protocol: int | None
    services: list[Service]
    other_frontends: list[str]
    """Where there is none, the ports and protocols at which the destination is one: 80/TCP."""
    connections: list[Flow]
    translations: list[Mapping]
    policy: list[Verdict]
    unread: list[PolicyUnread]
    drops: list[Drop]
    allowed: bool | None
    """What becomes of a new packet by the policy maps; None where they do not say."""


def parse_end(text: str, known: Known) -> tuple[bytes, int | None]:
    """Address and port of `10.0.0.1`, `10.0.0.1:80`, `[fd00::1]:80`, or of an endpoint's id or name, `web:80`."""
    name, colon, port = text.rpartition(":")
    if not colon or ("]" not in name and ":" in name) or text.endswith("]"):
        name, port = text, ""
    name = name.removeprefix("[").removesuffix("]")
    packed = _address_of(name, known)
    return packed, number(port, "a port", 0xFFFF) if port else None


def _address_of(name: str, known: Known) -> bytes:
    try:
        return unmapped(parse_ip(name))
    except WrongUsage:
        found = endpoint_named(known, name)
        if found is not None and found.addresses:
            return found.addresses[0].packed
        by_id = [address for address, row in known.endpoints.items() if str(row.endpoint_id) == name]
        if by_id:
            return min(by_id, key=len)
        raise WrongUsage(
            f"{name!r}: neither an address nor an endpoint", "bpf endpoint list shows the endpoints"
        ) from None


def endpoint_named(known: Known, name: str) -> Endpoint | None:
    """The endpoint of that id or name, where the state directory is ours."""
    if known.node is None:
        return None
    with suppress(CiliumPyError, OSError):
        return next((each for each in store.all(known.paths) if name in (str(each.id), each.name)), None)
    return None


def endpoint_at(known: Known, address: bytes) -> Endpoint | None:
    if known.node is None:
        return None
    with suppress(CiliumPyError, OSError):
        return next((each for each in store.all(known.paths) if address in [a.packed for a in each.addresses]), None)
    return None


def parse_protocol_word(text: str | None, port: int | None) -> int | None:
    """A protocol by name or number; TCP where there is a port and no word."""
    if text is None:
        return TCP if port else None
    return parse_protocol(text)


def page(
    known: Known, present: Present, source: tuple[bytes, int | None], destination: tuple[bytes, int | None],
    protocol: int | None,
) -> Page:  # fmt: skip
    """Gather it. Raises WrongUsage if the ends are of different families."""
    if len(source[0]) != len(destination[0]):
        raise WrongUsage(f"{said(source[0])} and {said(destination[0])} are of different address families")
    services = list(_services(known, *destination, protocol))
    others = [] if services else list(_services(known, destination[0], None, None))
    targets = _targets(services) if services else [destination]
    ends = {destination[0], *(address for address, _ in targets)}
    between = list(_connections(known, present, source[0], ends, protocol))
    asked_for = {_ends(found) for found in between if _is_asked(found, source, destination)}
    connections = [found for found in between if _ends(found) in asked_for]
    verdicts = list(_verdicts(known, source[0], targets, protocol))
    asked = [each for each in verdicts if isinstance(each, Verdict)]
    return Page(
        _end(known, *source), _end(known, *destination), protocol, services,
        [f"{each.port}/{each.protocol}" for each in others], connections,
        list(_translations(known, source, ends, protocol)), asked,
        [each for each in verdicts if isinstance(each, PolicyUnread)], list(_drops(known)), _together(asked),
    )  # fmt: skip


def _together(verdicts: list[Verdict]) -> bool | None:
    """A packet passes if each end lets it; with several backends, if it does with one of them."""
    if not verdicts:
        return None
    by_peer: dict[bool, list[bool | None]] = {True: [], False: []}
    for each in verdicts:
        by_peer[each.direction == "egress"].append(each.allowed)
    answers = [True if True in given else None if None in given else False for given in by_peer.values() if given]
    return False if False in answers else None if None in answers else True


def _end(known: Known, address: bytes, port: int | None) -> End:
    is_frontend = any(row.address == address and port in (None, row.port) for row in known.services)
    identity = None if is_frontend else known.identity(address)
    return End(
        address, port, identity, known.labels_of(identity), known.endpoint_ids.get(address),
        address in known.own_addresses, is_frontend,
    )  # fmt: skip


def _services(known: Known, address: bytes, port: int | None, protocol: int | None) -> Iterator[Service]:
    slots: dict[tuple[Any, ...], list[lb_services.Row]] = {}
    for row in known.services:
        if row.address == address and port in (None, row.port):
            slots.setdefault((row.port, row.protocol, row.internal), []).append(row)
    for rows in slots.values():
        head = next((row for row in rows if row.slot == 0), None)
        if head is None or (protocol is not None and head.protocol not in (protocol_name(protocol), "ANY")):
            continue
        backends = [
            _backend(known, row) for row in sorted(rows, key=lambda row: row.slot) if 0 < row.slot <= head.backends
        ]
        yield Service(address, head.port, head.protocol, head.rev_nat, head.flag_names, backends)


def _backend(known: Known, row: lb_services.Row) -> Backend:
    found = known.backends.get(row.backend_id)
    if found is None:
        return Backend(row.slot, row.backend_id, None, None, "missing")
    return Backend(row.slot, row.backend_id, found.address, found.port, found.state)


def _targets(services: Iterable[Service]) -> list[tuple[bytes, int | None]]:
    """Whom a new packet to a service may reach."""
    backends = [each for service in services for each in service.backends if each.state == "active"]
    return [(each.address, each.port) for each in backends if each.address is not None][:MOST_BACKENDS]


def _connections(
    known: Known, present: Present, source: bytes, ends: set[bytes], protocol: int | None
) -> Iterator[Flow]:
    """The entries of conntrack between one address and others, of both directions."""
    for table in known.tables(each for each in ct.MAP.sources if each.family == (4 if len(source) == 4 else 6)):
        _between(ct.MAP, source, ends).narrow(table)
        for key, value in table.entries():
            row = table.layout.decode(key, value)
            if protocol in (None, key.nexthdr):
                yield flow(row, [row.direction], known, present)


def _between(definition: MapDef[Any], one: bytes, others: set[bytes]) -> Selection[Any]:
    fields = fields_of(definition.row)
    width = 8 * len(one)

    def at(name: str, addresses: Iterable[bytes]) -> Node:
        return any_of(*(Within(fields[name], (address, width)) for address in addresses))

    there = all_of(at("source", [one]), at("destination", others))
    back = all_of(at("source", others), at("destination", [one]))
    return Selection(fields, Moment(Clock), any_of(there, back))


def _is_asked(found: Flow, source: tuple[bytes, int | None], destination: tuple[bytes, int | None]) -> bool:
    """Whether the ports are those asked for, where any were; of what comes back, the other way round."""
    to = {found.destination_port, found.service_port}
    there = found.source == source[0]
    near, far = (source[1], destination[1]) if there else (destination[1], source[1])
    return near in (None, found.source_port) and (far is None or far in to)


def _ends(found: Flow) -> tuple[Any, ...]:
    """What the entries of a connection have alike; at the backend, none knows of the service."""
    ends = found.source, found.source_port, found.destination, found.destination_port
    return found.protocol, found.related, frozenset((ends[:2], ends[2:]))


def _translations(
    known: Known, source: tuple[bytes, int | None], ends: set[bytes], protocol: int | None
) -> Iterator[Mapping]:  # fmt: skip
    for table in known.tables(each for each in nat.MAP.sources if each.family == (4 if len(source[0]) == 4 else 6)):
        _between(nat.MAP, source[0], ends).narrow(table)
        for key, value in table.entries():
            row = table.layout.decode(key, value)
            if protocol not in (None, key.nexthdr) or row.direction != "OUT":
                continue
            if source[1] not in (None, row.source_port):
                continue
            back = table.layout.key(
                daddr=row.to, saddr=row.destination, dport=row.to_port, sport=row.destination_port,
                nexthdr=key.nexthdr, flags=key.flags ^ TUPLE_OUT ^ TUPLE_IN,
            )  # fmt: skip
            yield Mapping(*row[:6], row.to, row.to_port, table.map.lookup(back.pack()) is not None)


def _verdicts(
    known: Known, source: bytes, targets: list[tuple[bytes, int | None]], protocol: int | None
) -> Iterator[Verdict | PolicyUnread]:  # fmt: skip
    """What the policy of each end that is here says of a new packet."""
    for address, port in targets:
        used = protocol if protocol is not None else ICMP if len(address) == 4 else ICMPV6
        target_port = port if port is not None else ECHO_REQUEST.get(used, 0)
        ends = (("egress", source, address), ("ingress", address, source))
        for direction, own, peer in ends:
            endpoint_id = known.endpoint_ids.get(own)
            if endpoint_id is not None:
                name = said(peer, port if direction == "egress" else None)
                identity = known.identity(peer)
                yield verdict(known, endpoint_id, direction, identity or 0, used, target_port, name)


def _drops(known: Known) -> Iterator[Drop]:
    totals: dict[tuple[str, str], int] = {}
    for row in known.rows(metrics.MAP):
        if row.code >= FIRST_DROP_REASON:
            totals[row.reason, row.direction] = totals.get((row.reason, row.direction), 0) + row.packets
    for (reason, direction), packets in sorted(totals.items(), key=lambda item: -item[1]):
        yield Drop(reason, direction, packets)
