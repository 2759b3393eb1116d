"""The health of source NAT: each translation needs one for the answers, a connection, and a port that is free.

A port of an egress address can be used once for each remote address, port and protocol: what runs out is never the
table as a whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import nlargest
from typing import NamedTuple

from cilium_py.errors import Partial
from cilium_py.maps import ct, nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT
from cilium_py.policy.ports import TCP
from cilium_py.schema import Address, Source
from cilium_py.schema.text import protocol_name
from cilium_py.table import OpenTable, open_source, readable

from .known import Known
from .octets import FLAGS, places

PROTOCOL, OUTGOING = -2, bytes([TUPLE_OUT])
"""Where in a key the protocol lies, and how the key of an outgoing connection ends."""
FIRST_PORT, LAST_PORT = 32768, 65535
"""What Cilium takes for source NAT unless it is told otherwise: all above the NodePort range."""
MOST_PROBLEMS = 1000
"""Entries of each kind that are named; all are counted."""

MISSING_REVERSE, ORPHAN, MISMATCH, NO_CONNECTION = "missing reverse", "orphan reverse", "mismatch", "no connection"


class TableHealth(NamedTuple):
    """One NAT table, counted."""

    map: str
    entries: int
    max_entries: int
    outgoing: int
    incoming: int
    paired: int
    missing_reverse: int
    """Outgoing translations whose answers are not translated back: those connections are dead."""
    orphan_reverse: int
    """Translations of answers to nothing: they only take room."""
    mismatched: int
    """Pairs of which the reverse leads to another address or port than the translation came from."""
    without_connection: int | None
    """Outgoing translations that should have a connection in conntrack and have none; None without conntrack."""
    direct_return: int
    """Of direct server return, which has no reverse."""


class Problem(NamedTuple):
    """A translation that is not as it should be."""

    kind: str
    """missing reverse, orphan reverse, mismatch or no connection."""
    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    to: Address
    to_port: int
    created: int
    """In the clock of conntrack."""


class Sharer(NamedTuple):
    address: Address
    ports: int


class PortUse(NamedTuple):
    """The ports of one egress address that are in use towards one remote."""

    egress: Address
    remote: Address
    remote_port: int
    protocol: str
    used: int
    available: int
    pressure: float
    """Used in proportion to available."""
    sources: list[Sharer]
    """Who uses most of them."""


class Diagnosis(NamedTuple):
    tables: list[TableHealth]
    problems: list[Problem]
    ports: list[PortUse]

    @property
    def is_ill(self) -> bool:
        return any(table.missing_reverse or table.mismatched for table in self.tables)


def diagnose(known: Known, ports: tuple[int, int] = (FIRST_PORT, LAST_PORT), top: int = 10) -> Diagnosis:
    """Look at every NAT table. Raises MapMissing or LayoutMismatch if there is none that can be read."""
    tables: list[TableHealth] = []
    problems: list[Problem] = []
    uses = _Uses(*ports)
    try:
        for source, opened in readable(nat.MAP.sources, lambda source: open_source(source, known.pins)):
            with opened, ExitStack() as stack:
                found = _Examined(opened, _connections(known, source.family, stack), uses)
                found.read()
                problems += found.problems
                tables.append(found.health(source))
    except Partial as error:
        known.without(error)
    return Diagnosis(tables, problems, uses.most(top))


def _connections(known: Known, family: int, stack: ExitStack) -> Callable[[bytes], bool] | None:
    """What tells whether a connection is tracked; None where conntrack is not there."""
    opened: dict[bool, OpenTable[ct.Row]] = {}
    for source in ct.MAP.sources:
        if source.family == family and (table := known.open(source)) is not None:
            opened["_any" not in source.pin] = stack.enter_context(table)
    if not opened:
        return None

    def tracked(key: bytes) -> bool:
        table = opened.get(key[PROTOCOL] == TCP)
        return table is not None and table.map.lookup(key) is not None

    return tracked


class _Uses:
    """Ports in use, by egress address, remote and protocol, and by whom; all as bytes of the entries."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.by: defaultdict[tuple[bytes, ...], Counter[bytes]] = defaultdict(Counter)

    def add(
        self, egress: bytes, port: bytes, remote: bytes, remote_port: bytes, protocol: bytes, source: bytes
    ) -> None:
        if self.first <= int.from_bytes(port, "big") <= self.last:
            self.by[egress, remote, remote_port, protocol][source] += 1

    def most(self, top: int) -> list[PortUse]:
        available = self.last - self.first + 1
        largest = nlargest(top, ((sources.total(), place) for place, sources in self.by.items()))
        return [
            PortUse(
                egress, remote, int.from_bytes(port, "big"), protocol_name(protocol[0]), used, available,
                round(used / available, 4),
                [Sharer(*each) for each in self.by[egress, remote, port, protocol].most_common(5)],
            )
            for used, (egress, remote, port, protocol) in largest
        ]  # fmt: skip


class _Examined:
    """One table being looked at, as bytes: what waits for its counterpart is held, the rest is counted and let go."""

    def __init__(self, table: OpenTable[nat.Row], tracked: Callable[[bytes], bool] | None, uses: _Uses) -> None:
        self.table = table
        self.tracked = tracked
        self.uses = uses
        self.counts: Counter[str] = Counter()
        self.problems: list[Problem] = []
        key, value = places(table.layout.key), places(table.layout.value)
        self.daddr, self.saddr, self.dport, self.sport, self.protocol = (
            key[name] for name in ("daddr", "saddr", "dport", "sport", "nexthdr")
        )
        self.address, self.port = value["to_saddr"], value["to_sport"]
        self.needs = value.get("needs_ct")
        self.outgoing: dict[bytes, tuple[bytes, bytes]] = {}
        """Key of the reverse that is expected -> the entry that expects it."""
        self.incoming: dict[bytes, bytes] = {}

    def read(self) -> None:
        for key, value in self.table.map.entries():
            self.counts["entries"] += 1
            if key[FLAGS] & TUPLE_IN:
                self._incoming(key, value)
            else:
                self._outgoing(key, value)
        for key, value in self.outgoing.values():
            self._unanswered(key, value)
        for key, value in self.incoming.items():
            # An entry that came while the table was read is no orphan: ask once more.
            if self._is_there(key) and not self._is_there(self._forward(key, value)):
                self._report(ORPHAN, key, value)

    def _outgoing(self, key: bytes, value: bytes) -> None:
        self.counts["outgoing"] += 1
        self.uses.add(
            value[self.address], value[self.port], key[self.daddr], key[self.dport], key[self.protocol],
            key[self.saddr],
        )  # fmt: skip
        if not self._is_tracked(key, value):
            self._report(NO_CONNECTION, key, value)
        expected = self._reverse(key, value)
        found = self.incoming.pop(expected, None)
        if found is None:
            self.outgoing[expected] = key, value
        else:
            self._pair(key, expected, found)

    def _incoming(self, key: bytes, value: bytes) -> None:
        self.counts["incoming"] += 1
        found = self.outgoing.pop(key, None)
        if found is None:
            self.incoming[key] = value
        else:
            self._pair(found[0], key, value)

    def _pair(self, out: bytes, back: bytes, value: bytes) -> None:
        self.counts["paired"] += 1
        if (value[self.address], value[self.port]) != (out[self.saddr], out[self.sport]):
            self._report(MISMATCH, back, value)

    def _unanswered(self, key: bytes, value: bytes) -> None:
        if self.tracked is not None and self.tracked(self._direct_return(key)):
            self.counts["direct return"] += 1
        elif self._is_there(key) and not self._is_there(self._reverse(key, value)):
            self._report(MISSING_REVERSE, key, value)
        else:
            self.counts["paired"] += 1

    def _is_tracked(self, key: bytes, value: bytes) -> bool:
        if self.tracked is None or (self.needs is not None and not any(value[self.needs])):
            return True
        return self.tracked(self._connection(key)) or self.tracked(self._direct_return(key))

    def _connection(self, key: bytes) -> bytes:
        """The key in conntrack of the connection that a translation is for: turned round, its ports as they are."""
        return key[self.saddr] + key[self.daddr] + key[self.dport] + key[self.sport] + key[self.protocol] + OUTGOING

    def _direct_return(self, key: bytes) -> bytes:
        """The same of direct server return: addresses as they are, ports turned round."""
        return key[self.daddr] + key[self.saddr] + key[self.sport] + key[self.dport] + key[self.protocol] + OUTGOING

    def _is_there(self, key: bytes) -> bool:
        return self.table.map.lookup(key) is not None

    def _reverse(self, key: bytes, value: bytes) -> bytes:
        """The key under which answers are translated back: from the remote to where the source was translated."""
        flags = bytes([key[FLAGS] | TUPLE_IN])
        return value[self.address] + key[self.daddr] + value[self.port] + key[self.dport] + key[self.protocol] + flags

    def _forward(self, key: bytes, value: bytes) -> bytes:
        """The key of the translation whose answers this entry is for."""
        flags = bytes([key[FLAGS] & ~TUPLE_IN])
        return key[self.saddr] + value[self.address] + key[self.sport] + value[self.port] + key[self.protocol] + flags

    def _report(self, kind: str, key: bytes, value: bytes) -> None:
        self.counts[kind] += 1
        layout = self.table.layout
        if self.counts[kind] <= MOST_PROBLEMS:
            row = layout.decode(layout.key.unpack(key), layout.value.unpack(value))
            self.problems.append(Problem(kind, *row[:6], row.to, row.to_port, row.created))

    def health(self, source: Source[nat.Row]) -> TableHealth:
        counts = self.counts
        return TableHealth(
            source.pin, counts["entries"], self.table.map.info.max_entries, counts["outgoing"], counts["incoming"],
            counts["paired"], counts[MISSING_REVERSE], counts[ORPHAN], counts[MISMATCH],
            counts[NO_CONNECTION] if self.tracked is not None else None, counts["direct return"],
        )  # fmt: skip


def by_kind(problems: list[Problem]) -> Iterator[tuple[str, list[Problem]]]:
    """The problems, those first that break connections."""
    for kind in (MISSING_REVERSE, MISMATCH, NO_CONNECTION, ORPHAN):
        found = [each for each in problems if each.kind == kind]
        if found:
            yield kind, found
