"""Connections, each once: the entries of conntrack joined with services, translations, identities and endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from cilium_py.errors import MapMissing
from cilium_py.maps import ct, nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, TUPLE_RELATED, TUPLE_SERVICE
from cilium_py.schema import Address, Struct
from cilium_py.schema.text import parse_protocol
from cilium_py.table import OpenTable, open_source

from .known import Known, Moment

FLAGS = -1
"""Where in a key the byte of flags lies."""
ENTRY_NAMES = {TUPLE_OUT: "OUT", TUPLE_IN: "IN"}


class Flow(NamedTuple):
    """A connection as this node sees it. What is not known, or does not apply, is null."""

    protocol: str
    entries: list[str]
    """Which entries conntrack has of it: OUT (from here), IN (to here), SVC (the choice of a backend)."""
    source: Address
    source_port: int
    service: Address | None
    """The frontend that the client spoke to."""
    service_port: int | None
    destination: Address | None
    """The backend, or who was spoken to; null for a service entry whose backend is gone."""
    destination_port: int | None
    nat_address: Address | None
    """What the source is translated to."""
    nat_port: int | None
    related: bool
    state: str
    packets: int
    bytes: int
    remaining: int | None
    """Seconds."""
    expires: str | None
    """RFC 3339."""
    source_identity: int | None
    source_labels: list[str]
    source_endpoint: int | None
    destination_identity: int | None
    destination_labels: list[str]
    destination_endpoint: int | None
    flag_names: list[str]
    rev_nat: int
    backend_id: int


def flows(known: Known, moment: Moment) -> Iterator[Flow]:
    """Every connection, table by table, in the order of the map of those that have the most to say of it."""
    opened = 0
    missing: MapMissing | None = None
    for source in ct.MAP.sources:
        try:
            table = open_source(source, known.pins)
        except MapMissing as error:
            missing = missing or error
            continue
        opened += 1
        with table:
            yield from _of_table(table, known, moment, source.family)
    if not opened and missing:
        raise missing


def _of_table(table: OpenTable[ct.Row], known: Known, moment: Moment, family: int) -> Iterator[Flow]:
    joined = Joined(table)
    key_type, value_type, decode = table.layout.key, table.layout.value, table.layout.decode
    with Mappings(known, family) as mappings:
        for key, value in table.map.entries():
            kinds = joined.entries(key, value)
            if kinds is not None:
                yield flow(decode(key_type.unpack(key), value_type.unpack(value)), kinds, known, moment, mappings)


class Joined:
    """Which entries of a table belong to one connection, by their bytes: of a large table, few are decoded twice."""

    def __init__(self, table: OpenTable[ct.Row]) -> None:
        key, value = places(table.layout.key), places(table.layout.value)
        self._service = key["saddr"], key["dport"]
        """Where a service entry has the client; any other is turned round."""
        self._client = key["daddr"], key["sport"]
        self._protocol, self._rev_nat = key["nexthdr"], value["rev_nat_index"]
        self._keys = set[bytes]()
        """Of the entries that are of a direction."""
        self._served = set[bytes]()
        """(protocol, client, its port, service) of those that go through a service."""
        self._choices = set[bytes]()
        """The same of the service entries."""
        for each, held in table.map.entries():
            if each[FLAGS] & TUPLE_SERVICE:
                self._choices.add(self._end(each, held))
                continue
            self._keys.add(each)
            if any(held[self._rev_nat]):
                self._served.add(self._end(each, held))

    def entries(self, key: bytes, value: bytes) -> list[str] | None:
        """The kinds of entries of the connection that this entry speaks for; None if another one does."""
        flags = key[FLAGS]
        if flags & TUPLE_SERVICE:
            return None if self._end(key, value) in self._served else ["SVC"]
        has_twin = key[:FLAGS] + bytes([flags ^ TUPLE_IN]) in self._keys
        if has_twin and flags & TUPLE_IN:
            return None
        kinds = ["OUT", "IN"] if has_twin else [ENTRY_NAMES[flags & TUPLE_IN]]
        is_served = any(value[self._rev_nat]) and self._end(key, value) in self._choices
        return [*kinds, "SVC"] if is_served else kinds

    def _end(self, key: bytes, value: bytes) -> bytes:
        flags = key[FLAGS]
        address, port = self._service if flags & TUPLE_SERVICE else self._client
        related = bytes([flags & TUPLE_RELATED])
        return key[self._protocol] + key[address] + key[port] + value[self._rev_nat] + related


def places(struct: type[Struct]) -> dict[str, slice]:
    """Where the bytes of each field lie."""
    return {member.name: slice(member.offset, member.offset + member.size) for member in struct.members}


class Mappings:
    """The source NAT of one address family, asked entry by entry."""

    def __init__(self, known: Known, family: int) -> None:
        self._table: OpenTable[nat.Row] | None = None
        source = next(source for source in nat.MAP.sources if source.family == family)
        with suppress(MapMissing):
            self._table = open_source(source, known.pins)

    def __enter__(self) -> Mappings:
        return self

    def __exit__(self, *_: object) -> None:
        if self._table is not None:
            self._table.map.close()

    def of(self, row: ct.Row, protocol: int) -> nat.Row | None:
        """What the source of an outgoing connection is translated to."""
        if self._table is None:
            return None
        return self._table.get(self._table.layout.key(
            saddr=row.source, daddr=row.destination, sport=row.source_port, dport=row.destination_port,
            nexthdr=protocol, flags=TUPLE_OUT,
        ))  # fmt: skip


def flow(row: ct.Row, kinds: list[str], known: Known, moment: Moment, mappings: Mappings | None = None) -> Flow:
    """One entry of conntrack with all that is known of it."""
    destination, port = row.destination, row.destination_port
    service: tuple[bytes, int] | None = None
    found: bytes | None = destination
    if row.direction == "SVC":
        service = (destination, port)
        backend = known.backends.get(row.backend_id)
        found, port = (backend.address, backend.port) if backend is not None else (None, 0)
    elif row.rev_nat and (frontend := known.frontend(row.rev_nat, destination)) is not None:
        service = (frontend.address, frontend.port)
    mapping = None
    if mappings is not None and row.direction == "OUT" and row.nat_address is None:
        mapping = mappings.of(row, parse_protocol(row.protocol))
    nat_address, nat_port = (mapping.to, mapping.to_port) if mapping is not None else (row.nat_address, row.nat_port)
    identity = row.source_identity or known.identity(row.source)
    other = known.identity(found) if found is not None else None
    return Flow(
        row.protocol, kinds, row.source, row.source_port, service[0] if service else None,
        service[1] if service else None, found, port if found is not None else None, nat_address, nat_port,
        row.related, ct.state(row), row.packets, row.bytes, moment.remaining(row.expires), moment.expiry(row.expires),
        identity, list(known.labels.get(identity or 0, ())), known.endpoint_id(row.source), other,
        list(known.labels.get(other or 0, ())), known.endpoint_id(found) if found is not None else None,
        list(row.flag_names), row.rev_nat, row.backend_id,
    )  # fmt: skip
