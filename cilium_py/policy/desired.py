"""What the rules want an endpoint's policy map to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

from cilium_py.node.identity import RESERVED

from . import mapstate
from .identities import Identities
from .labels import LabelSet
from .mapstate import ALLOW, ANYONE, DENY, Entry, Key, MapState, Row, datapath_priority
from .ports import EVERYTHING, L4, PROTOCOL_BITS, WITH_PORTS, exactly, port_range
from .proxy import proxy_name
from .repository import Repository
from .rule import Direction, IcmpType, NamedPort, Passage, Peer, Port, PortMatch, Redirect, Rule

HOST = RESERVED["host"]


class Subject(Protocol):
    """What policy needs to know of an endpoint."""

    @property
    def labels(self) -> tuple[str, ...]: ...


NamedPorts: TypeAlias = Mapping[str, Iterable[tuple[int, int]]]
"""Name -> (protocol, port) pairs that it stands for."""


@dataclass(frozen=True)
class Ports:
    """What the names of ports mean: on ingress those of the endpoint itself, on egress those of its peers."""

    own: NamedPorts = field(default_factory=dict)
    peers: NamedPorts = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One section of one rule, with the entries that it makes for each of its peers."""

    direction: Direction
    rule: str
    entries: tuple[tuple[L4, Entry], ...]

    @cached_property
    def prefixes(self) -> frozenset[L4]:
        return frozenset(l4 for l4, _ in self.entries)

    def __str__(self) -> str:
        return self.rule


@dataclass(frozen=True)
class DesiredPolicy:
    """The entries of an endpoint's policy map, and where each comes from."""

    entries: MapState
    enforce_ingress: bool
    enforce_egress: bool
    revision: int
    remarks: tuple[str, ...] = ()
    """What a rule asks for and cannot have."""
    parts: tuple[Part, ...] = ()
    parts_of: Mapping[tuple[Direction, int], tuple[int, ...]] = field(default_factory=dict)
    """(direction, identity) -> the parts that have entries for it."""

    def enforces(self, direction: Direction) -> bool:
        return self.enforce_egress if direction is Direction.EGRESS else self.enforce_ingress

    def origins(self, key: Key) -> list[str]:
        """The rules that an entry comes from."""
        found = (self.parts[at] for at in self.parts_of.get((key.direction, key.identity), ()))
        return [str(part) for part in found if key.l4 in part.prefixes]

    def largest(self, count: int = 3) -> list[tuple[str, int]]:
        """The rules with most entries, and how many each has."""
        sizes: Counter[str] = Counter()
        for key in self.entries:
            sizes.update(self.origins(key)[:1])
        return sizes.most_common(count)


def desired(
    repository: Repository,
    identities: Identities,
    endpoint: Subject,
    ports: Ports | None = None,
    always: tuple[bool, bool] = (False, False),
) -> DesiredPolicy:
    """The policy of an endpoint at the repository's revision, among the identities that are known now.

    `always`: the directions, ingress and egress, that are closed by default whatever the rules say.
    """
    labels = LabelSet(endpoint.labels or ("reserved:init",))
    rules = [written.rule for written in repository.written.values() if written.rule.subject.matches(labels)]
    enforced = {d: always[d] or any(rule.default_deny[d] for rule in rules) for d in Direction}
    calculation = _Calculation(repository, identities, ports or Ports())
    for rule in rules:
        for passage in rule.passages:
            calculation.add(rule, passage)
    for direction in Direction:
        if not enforced[direction]:
            calculation.add_part(Part(direction, "not enforced", ((EVERYTHING, ALLOW),)), (ANYONE,))
    # As on a node of Kubernetes, which must be able to probe what it runs.
    calculation.add_part(Part(Direction.INGRESS, "host always allowed", ((EVERYTHING, ALLOW),)), (HOST,))
    with_auth = any(passage.auth is not None for rule in rules for passage in rule.passages)
    return DesiredPolicy(
        entries=calculation.settle(with_auth),
        enforce_ingress=enforced[Direction.INGRESS],
        enforce_egress=enforced[Direction.EGRESS],
        revision=repository.revision,
        remarks=tuple(dict.fromkeys(calculation.remarks)),
        parts=tuple(calculation.parts),
        parts_of={peer: tuple(parts) for peer, parts in calculation.parts_of.items()},
    )


class _Calculation:
    """The parts of the rules, sorted by peer, on their way to entries."""

    def __init__(self, repository: Repository, identities: Identities, ports: Ports) -> None:
        self.repository = repository
        self.identities = identities
        self.ports = ports
        self.parts: list[Part] = []
        self.parts_of: dict[tuple[Direction, int], list[int]] = {}
        self.remarks: list[str] = []
        self._selected: dict[Peer, frozenset[int]] = {}

    def add(self, rule: Rule, passage: Passage) -> None:
        name = f"{rule.name}: {passage.path}" if rule.name else passage.path
        entries = tuple(self._entries(passage, name))
        if entries:
            self.add_part(Part(passage.direction, name, entries), self._peers(passage))

    def add_part(self, part: Part, peers: Iterable[int]) -> None:
        self.parts.append(part)
        for identity in peers:
            self.parts_of.setdefault((part.direction, identity), []).append(len(self.parts) - 1)

    def settle(self, with_auth: bool) -> dict[Key, Entry]:
        """The entries of every peer. Peers of the same parts, as most are, share the work."""
        anyone = {}
        for direction in Direction:
            row = self._row(self.parts_of.get((direction, ANYONE), ()))
            anyone[direction] = mapstate.settle(row, row, with_auth)
        settled: dict[tuple[Direction, tuple[int, ...]], Row] = {}
        entries: dict[Key, Entry] = {}
        for (direction, identity), parts in sorted(self.parts_of.items()):
            if identity == ANYONE:
                row = anyone[direction]
            else:
                same = direction, tuple(parts)
                if same not in settled:
                    settled[same] = mapstate.settle(self._row(parts), anyone[direction], with_auth)
                row = settled[same]
            for l4, entry in row.items():
                entries[Key(direction, identity, l4)] = entry
        return entries

    def _row(self, parts: Iterable[int]) -> Row:
        return mapstate.gather(pair for at in parts for pair in self.parts[at].entries)

    def _peers(self, passage: Passage) -> frozenset[int]:
        if passage.peers is None:
            return frozenset((ANYONE,))
        found: frozenset[int] = frozenset()
        for peer in passage.peers:
            if peer not in self._selected:
                self._selected[peer] = self.identities.select(peer)
            found |= self._selected[peer]
        return found

    def _entries(self, passage: Passage, name: str) -> Iterator[tuple[L4, Entry]]:
        if not passage.has_ports:
            # A section without peers and ports allows nothing; it only closes the direction.
            if passage.peers is not None:
                yield EVERYTHING, self._entry(passage, None)
            return
        for match, redirect in passage.ports:
            entry = self._entry(passage, redirect)
            for l4 in self._prefixes(match, passage, name):
                yield l4, entry

    def _entry(self, passage: Passage, redirect: Redirect | None) -> Entry:
        if passage.deny:
            return DENY
        port = priority = 0
        if redirect is not None:
            port = self.repository.proxy_ports[proxy_name(redirect, passage.direction)]
            priority = datapath_priority(redirect.priority)
        return Entry(False, port, priority, int(passage.auth or 0), passage.auth is not None)

    def _prefixes(self, match: PortMatch, passage: Passage, name: str) -> Iterator[L4]:
        match match:
            case IcmpType():
                yield exactly(match.protocol, match.type)
            case NamedPort():
                yield from self._named(match, passage, name)
            case Port():
                for protocol in WITH_PORTS if match.protocol is None else (match.protocol,):
                    if match.every:
                        yield L4(protocol, 0, PROTOCOL_BITS)
                    else:
                        yield from port_range(protocol, match.first, match.last)

    def _named(self, wanted: NamedPort, passage: Passage, name: str) -> Iterator[L4]:
        known = self.ports.peers if passage.direction is Direction.EGRESS else self.ports.own
        found = sorted({pair for pair in known.get(wanted.name, ()) if wanted.protocol in (None, pair[0])})
        if not found:
            self.remarks.append(f"{name}: no port is named {wanted.name}")
        protocols = Counter(protocol for protocol, _ in found)
        for protocol, port in found:
            if protocols[protocol] > 1 and not passage.deny:
                self.remarks.append(f"{name}: {wanted.name} names several ports; none of them is allowed")
            else:
                yield exactly(protocol, port)
