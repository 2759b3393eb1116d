"""The health of source NAT: each translation needs one for the answers, a connection, and a port that is free.

A port of an egress address can be used once for each remote address, port and protocol: what runs out is never the
table as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from cilium_py.errors import MapMissing
from cilium_py.maps import ct, nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT
from cilium_py.policy.ports import TCP
from cilium_py.schema import Address, Source
from cilium_py.table import OpenTable, open_source

from .known import Known

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
    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    to: Address
    to_port: int
    created: int


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
    """Look at every NAT table. Raises MapMissing if there is none."""
    tables: list[TableHealth] = []
    problems: list[Problem] = []
    uses = _Uses(*ports)
    missing: MapMissing | None = None
    for source in nat.MAP.sources:
        try:
            opened = open_source(source, known.pins)
        except MapMissing as error:
            missing = missing or error
            continue
        with opened, ExitStack() as stack:
            found = _Examined(opened, _connections(known, source.family, stack), uses)
            found.read()
            problems += found.problems
            tables.append(found.health(source))
    if not tables and missing:
        raise missing
    return Diagnosis(tables, problems, uses.most(top))


def _connections(known: Known, family: int, stack: ExitStack) -> Callable[[Any], bool] | None:
    """What tells whether a connection is tracked; None where conntrack is not there."""
    opened: dict[bool, OpenTable[ct.Row]] = {}
    for source in ct.MAP.sources:
        if source.family == family:
            with suppress(MapMissing):
                opened["_any" not in source.pin] = stack.enter_context(open_source(source, known.pins))
    if not opened:
        return None

    def tracked(key: Any) -> bool:
        table = opened.get(key.nexthdr == TCP)
        return table is not None and table.map.lookup(key.pack()) is not None

    return tracked


class _Uses:
    """Ports in use, by egress address, remote and protocol, and by whom."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.used: Counter[tuple[bytes, bytes, int, str]] = Counter()
        self.by: dict[tuple[bytes, bytes, int, str], Counter[bytes]] = {}

    def add(self, row: nat.Row) -> None:
        if not self.first <= row.to_port <= self.last:
            return
        place = row.to, row.destination, row.destination_port, row.protocol
        self.used[place] += 1
        self.by.setdefault(place, Counter())[row.source] += 1

    def most(self, top: int) -> list[PortUse]:
        available = self.last - self.first + 1
        return [
            PortUse(
                *place, used, available, round(used / available, 4),
                [Sharer(*each) for each in self.by[place].most_common(5)],
            )
            for place, used in self.used.most_common(top)
        ]  # fmt: skip


class _Examined:
    """One table being looked at: what waits for its counterpart is held, the rest is counted and let go."""

    def __init__(self, table: OpenTable[nat.Row], tracked: Callable[[Any], bool] | None, uses: _Uses) -> None:
        self.table = table
        self.tracked = tracked
        self.uses = uses
        self.counts: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.outgoing: dict[bytes, tuple[Any, Any]] = {}
        """Key of the reverse that is expected -> the entry that expects it."""
        self.incoming: dict[bytes, tuple[Any, Any]] = {}

    def read(self) -> None:
        for key, value in self.table.entries():
            self.counts["entries"] += 1
            if key.flags & TUPLE_IN:
                self._incoming(key, value)
            else:
                self._outgoing(key, value)
        for key, value in self.outgoing.values():
            self._unanswered(key, value)
        for key, value in self.incoming.values():
            # An entry that came while the table was read is no orphan: ask once more.
            if self._lookup(key) is not None and self._lookup(self._forward(key, value)) is None:
                self._report(ORPHAN, key, value)

    def _outgoing(self, key: Any, value: Any) -> None:
        self.counts["outgoing"] += 1
        self.uses.add(self.table.layout.decode(key, value))
        if not self._is_tracked(key, value):
            self._report(NO_CONNECTION, key, value)
        expected = self._reverse(key, value).pack()
        found = self.incoming.pop(expected, None)
        if found is None:
            self.outgoing[expected] = key, value
        else:
            self._pair((key, value), found)

    def _incoming(self, key: Any, value: Any) -> None:
        self.counts["incoming"] += 1
        packed = key.pack()
        found = self.outgoing.pop(packed, None)
        if found is None:
            self.incoming[packed] = key, value
        else:
            self._pair(found, (key, value))

    def _pair(self, out: tuple[Any, Any], back: tuple[Any, Any]) -> None:
        self.counts["paired"] += 1
        if (back[1].to_saddr, back[1].to_sport) != (out[0].saddr, out[0].sport):
            self._report(MISMATCH, *back)

    def _unanswered(self, key: Any, value: Any) -> None:
        if self.tracked is not None and self.tracked(direct_return(key)):
            self.counts["direct return"] += 1
        elif self._lookup(key) is not None and self._lookup(self._reverse(key, value)) is None:
            self._report(MISSING_REVERSE, key, value)
        else:
            self.counts["paired"] += 1

    def _is_tracked(self, key: Any, value: Any) -> bool:
        if self.tracked is None or getattr(value, "needs_ct", 1) == 0:
            return True
        return self.tracked(connection(key)) or self.tracked(direct_return(key))

    def _lookup(self, key: Any) -> bytes | None:
        return self.table.map.lookup(key.pack())

    def _reverse(self, key: Any, value: Any) -> Any:
        """The key under which answers are translated back."""
        return type(key)(
            daddr=value.to_saddr, saddr=key.daddr, dport=value.to_sport, sport=key.dport, nexthdr=key.nexthdr,
            flags=key.flags | TUPLE_IN,
        )  # fmt: skip

    def _forward(self, key: Any, value: Any) -> Any:
        """The key of the translation whose answers this entry is for."""
        return type(key)(
            saddr=value.to_saddr, daddr=key.saddr, sport=value.to_sport, dport=key.sport, nexthdr=key.nexthdr,
            flags=key.flags & ~TUPLE_IN,
        )  # fmt: skip

    def _report(self, kind: str, key: Any, value: Any) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= MOST_PROBLEMS:
            row = self.table.layout.decode(key, value)
            self.problems.append(Problem(kind, *row[:6], row.to, row.to_port, row.created))

    def health(self, source: Source[nat.Row]) -> TableHealth:
        counts = self.counts
        return TableHealth(
            source.pin, counts["entries"], self.table.map.info.max_entries, counts["outgoing"], counts["incoming"],
            counts["paired"], counts[MISSING_REVERSE], counts[ORPHAN], counts[MISMATCH],
            counts[NO_CONNECTION] if self.tracked is not None else None, counts["direct return"],
        )  # fmt: skip


def connection(key: Any) -> Any:
    """The key in conntrack of the connection that a translation is for: turned round, its ports as they are."""
    return type(key)(
        daddr=key.saddr, saddr=key.daddr, dport=key.dport, sport=key.sport, nexthdr=key.nexthdr, flags=TUPLE_OUT
    )


def direct_return(key: Any) -> Any:
    """The same of direct server return: addresses as they are, ports turned round."""
    return type(key)(
        daddr=key.daddr, saddr=key.saddr, dport=key.sport, sport=key.dport, nexthdr=key.nexthdr, flags=TUPLE_OUT
    )


def by_kind(problems: list[Problem]) -> Iterator[tuple[str, list[Problem]]]:
    """The problems, those first that break connections."""
    for kind in (MISSING_REVERSE, MISMATCH, NO_CONNECTION, ORPHAN):
        found = [each for each in problems if each.kind == kind]
        if found:
            yield kind, found
