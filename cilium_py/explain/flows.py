"""Connections, each once: the entries of conntrack joined with services, translations, identities and endpoints.

A table is read twice: to see which entries belong together, of which no more than fingerprints are held, and then to
join them one by one. So tables of any size stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from cilium_py.maps import ct, nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, TUPLE_RELATED, TUPLE_SERVICE
from cilium_py.schema import Address
from cilium_py.select.fields import Fields, Kind, fields_of
from cilium_py.select.tree import EVERYTHING, Compare, Node, any_of
from cilium_py.table import OpenTable

from .fingerprints import Fingerprints
from .implied import implied
from .known import Known, Moment
from .octets import FLAGS, narrow, places
from .translations import Translation, Translations

SERVED, CHOSEN = 4, 8
"""Marks of the end of a connection: that a flow of it goes through a service, that a backend was chosen for it."""
KINDS = {1 << TUPLE_OUT: ["OUT"], 1 << TUPLE_IN: ["IN"], 1 << TUPLE_OUT | 1 << TUPLE_IN: ["OUT", "IN"]}
"""Marks of the entries of a flow -> what they are called."""
SERVED_KINDS = {marks: [*kinds, "SVC"] for marks, kinds in KINDS.items()}
RELATED = [bytes([flags & TUPLE_RELATED]) for flags in range(256)]


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
    """Seconds; null for what never expires."""
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
    idle: int | None
    """Seconds since the last packet that was reported."""


def fields() -> Fields:
    """What flows are selected by: their fields, of which some are durations."""
    found = fields_of(Flow)
    return {**found, **{name: replace(found[name], kind=Kind.TIME) for name in ("remaining", "idle")}}


ENDS = "protocol", "source", "source_port", "related"
"""Fields that all entries of a connection have alike, the choice of a backend too."""
OWN = *ENDS, "state", "packets", "bytes", "flag_names", "rev_nat", "backend_id"
"""Fields of the entry that speaks for its connection."""
TARGET = "destination", "destination_port"
"""Fields that the entries of a flow have alike; a service's entry has the frontend there."""
MAPPED = "protocol", "source", "source_port", *TARGET
"""Fields that a translation has like the flow that is translated."""


class Wanted(NamedTuple):
    """What a selection of connections says of entries, before they are joined."""

    related: Node
    """Entries of connections that may be selected."""
    speaking: Node
    """Entries that may speak for a connection that is selected."""
    mapped: Node
    """Translations of such connections."""

    @classmethod
    def of(cls, where: Node) -> Wanted:
        entry, mapping = fields_of(ct.Row, ct.MAP.derived), fields_of(nat.Row)
        # These may belong to an entry with another destination.
        served = any_of(Compare(entry["direction"], "==", "SVC"), Compare(entry["rev_nat"], ">", 0))
        ends, own, target = ({name: entry[name] for name in names} for names in (ENDS, OWN, TARGET))
        return cls(
            implied(where, ends, target, served),
            implied(where, own, target, served),
            implied(where, {name: mapping[name] for name in MAPPED}),
        )


def flows(
    known: Known, moment: Moment, tables: Iterable[OpenTable[ct.Row]], where: Node = EVERYTHING,
    scope: int | None = None,
) -> Iterator[Flow]:  # fmt: skip
    """Every connection of the tables, in the order of the map of those entries that have the most to say of it.

    Connections that `where` does not select may be left out; `scope` is the cluster that the tables are of.
    """
    wanted = Wanted.of(where)
    translations: Translations | None = None
    for table in tables:
        family = 4 if issubclass(table.layout.key, ct.Key4) else 6
        if translations is None or translations.family != family:
            translations = Translations(known.pins, family, scope, wanted.mapped)
        yield from _of_table(table, wanted, known, moment, translations)


def _of_table(
    table: OpenTable[ct.Row], wanted: Wanted, known: Known, moment: Moment, translations: Translations
) -> Iterator[Flow]:  # fmt: skip
    key_type, value_type, decode = table.layout.key, table.layout.value, table.layout.decode
    narrow(table, wanted.related)
    joined = Joined(table)
    narrow(table, wanted.speaking)
    for batch in table.batches():
        entries = zip(key_type.unpack_many(batch.keys), value_type.unpack_many(batch.values), strict=True)
        for (key, value), entry in zip(batch.pairs(), entries, strict=True):
            kinds = joined.entries(key, value)
            if kinds is not None:
                translation = translations.of(key) if key[FLAGS] & ~TUPLE_RELATED == TUPLE_OUT else None
                yield flow(decode(*entry), kinds, known, moment, translation)


class Joined:
    """Which entries of a table belong to one connection, by their bytes: of a large table, few are decoded twice."""

    def __init__(self, table: OpenTable[ct.Row]) -> None:
        key, value = places(table.layout.key), places(table.layout.value)
        self._service = slice(key["saddr"].start, key["saddr"].stop), key["dport"]
        """Where a service entry has the client; any other is turned round."""
        self._client = key["daddr"], key["sport"]
        self._protocol, self._rev_nat = key["nexthdr"], value["rev_nat_index"]
        self._marks = Fingerprints()
        mark, rev_nat = self._marks.mark, self._rev_nat
        for batch in table.batches():
            for each, held in batch.pairs():
                flags = each[FLAGS]
                if flags & TUPLE_SERVICE:
                    mark(self._end(each, held), CHOSEN)
                    continue
                mark(each[:FLAGS] + RELATED[flags], 1 << (flags & TUPLE_IN))
                if held[rev_nat] != b"\0\0":
                    mark(self._end(each, held), SERVED)

    def entries(self, key: bytes, value: bytes) -> list[str] | None:
        """The kinds of entries of the connection that this entry speaks for; None if another one does."""
        flags = key[FLAGS]
        if flags & TUPLE_SERVICE:
            return None if self._marks.of(self._end(key, value)) & SERVED else ["SVC"]
        marks = self._marks.of(key[:FLAGS] + RELATED[flags]) | 1 << (flags & TUPLE_IN)
        if flags & TUPLE_IN and marks & 1 << TUPLE_OUT:
            return None
        is_served = value[self._rev_nat] != b"\0\0" and self._marks.of(self._end(key, value)) & CHOSEN
        return (SERVED_KINDS if is_served else KINDS)[marks]

    def _end(self, key: bytes, value: bytes) -> bytes:
        flags = key[FLAGS]
        address, port = self._service if flags & TUPLE_SERVICE else self._client
        return key[self._protocol] + key[address] + key[port] + value[self._rev_nat] + RELATED[flags]


def flow(
    row: ct.Row, kinds: list[str], known: Known, moment: Moment, translation: Translation | None = None
) -> Flow:  # fmt: skip
    """One entry of conntrack with all that is known of it."""
    (
        protocol, direction, source, source_port, destination, port, related, expires, packets, size, _, last_rx, _,
        last_tx, _, flag_names, rev_nat, sender, backend_id, nat_address, nat_port, _,
    ) = row  # fmt: skip
    service: tuple[bytes | None, int | None] = (None, None)
    target: tuple[bytes | None, int | None] = (destination, port)
    if direction == "SVC":
        backend = known.backends.get(backend_id)
        service, target = target, (backend.address, backend.port) if backend is not None else (None, None)
    elif rev_nat:
        service = known.frontends.get((rev_nat, len(destination)), service)
    identity = sender or known.identity(source)
    other = known.identity(target[0]) if target[0] is not None else None
    return tuple.__new__(Flow, (
        protocol, kinds, source, source_port, *service, *target, *(translation or (nat_address, nat_port)), related,
        ct.state(row), packets, size, *moment.times(expires), identity, known.labels_of(identity),
        known.endpoint_ids.get(source), other, known.labels_of(other), known.endpoint_ids.get(target[0]), flag_names,
        rev_nat, backend_id, moment.since(max(last_rx, last_tx)),
    ))  # fmt: skip
