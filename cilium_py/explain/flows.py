"""Connections, each once: the entries of conntrack joined with services, translations, identities and endpoints.

A table is read first to see which entries belong together, of which no more than fingerprints are held, and then to
join them one by one. So tables of any size stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from cilium_py.maps import ct, nat
from cilium_py.schema import Address
from cilium_py.select.fields import Fields, Kind, fields_of
from cilium_py.select.tree import EVERYTHING, Compare, Node, any_of
from cilium_py.table import OpenTable

from .implied import implied
from .joined import Joined
from .known import Known
from .octets import narrow
from .present import Present
from .translations import Translation, Translations


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
    """How far TCP has got: SYN-SENT, ESTABLISHED, CLOSING, CLOSED, RESET; empty of other protocols."""
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
    known: Known, present: Present, tables: Iterable[OpenTable[ct.Row]], where: Node = EVERYTHING,
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
            translations = Translations(known, family, scope, wanted.mapped)
        yield from _of_table(table, wanted, known, present, translations)


def _of_table(
    table: OpenTable[ct.Row], wanted: Wanted, known: Known, present: Present, translations: Translations
) -> Iterator[Flow]:  # fmt: skip
    key_type, value_type, decode = table.layout.key, table.layout.value, table.layout.decode
    narrow(table, wanted.related)
    joined = Joined(table)
    narrow(table, wanted.speaking)
    for batch in table.batches():
        entries = zip(key_type.unpack_many(batch.keys), value_type.unpack_many(batch.values), strict=True)
        spoken = zip(joined.kinds(batch), translations.of(batch), entries, strict=True)
        for kinds, translation, entry in spoken:
            if kinds is not None:
                yield flow(decode(*entry), kinds, known, present, translation)


def flow(
    row: ct.Row, kinds: list[str], known: Known, present: Present, translation: Translation | None = None
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
    return tuple.__new__(Flow, (
        protocol, kinds, source, source_port, *service, *target, *(translation or (nat_address, nat_port)), related,
        ct.state(row), packets, size, *present.times(expires), *known.parties[source, sender],
        *known.parties[target[0], 0], flag_names, rev_nat, backend_id,
        present.since(last_rx if last_rx > last_tx else last_tx),
    ))  # fmt: skip
