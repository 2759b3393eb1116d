"""What becomes of a packet, by the rules: which rule and which entry decide at the sender and at the receiver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import NamedTuple

from cilium_py.endpoint import store
from cilium_py.endpoint.model import Endpoint
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.loader.pins import policy_pin
from cilium_py.maps import ipcache
from cilium_py.node import entries
from cilium_py.node import labels as label_words
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import realize, table
from . import repository as rules
from .desired import DesiredPolicy
from .identities import Identities
from .mapstate import decide
from .packet import Address, Packet, echo_request
from .ports import LAST_PORT, PROTOCOLS, TCP, exactly, protocol_name
from .rule import Direction

STRANGER = 0xFFFE
"""The identity of labels that nobody has: the last that could be allocated."""


class Step(NamedTuple):
    """The decision at one end. `entry` is empty where no entry is for the packet, and the direction's default holds."""

    direction: str
    endpoint: int
    allowed: bool
    enforced: bool
    rules: list[str]
    entry: str
    proxy_port: int | None
    auth: bool


@dataclass(frozen=True)
class Actor:
    """One end: an endpoint of this node, labels, or an address."""

    identity: int
    labels: tuple[str, ...]
    endpoint: Endpoint | None = None
    address: Address | None = None

    def __str__(self) -> str:
        if self.endpoint is not None:
            return f"endpoint {self.endpoint.id} ({self.endpoint.name}, identity {self.identity})"
        where = f"{self.address} " if self.address is not None else ""
        return f"{where}identity {self.identity} ({' '.join(self.labels)})"


@dataclass(frozen=True)
class Trace:
    """A packet's way by the rules. `packet` is None if an end has no address, and so none can be sent."""

    source: Actor
    destination: Actor
    protocol: int
    port: int
    steps: tuple[Step, ...]
    packet: Packet | None = None

    @property
    def allowed(self) -> bool:
        return all(step.allowed for step in self.steps)

    @property
    def what(self) -> str:
        name = protocol_name(self.protocol)
        return f"{name} type {self.port}" if self.protocol in (1, 58) else f"{self.port}/{name}"


@dataclass
class Tracer:
    """The node's rules and identities at one moment."""

    paths: NodePaths
    node: NodeConfig = field(init=False)
    identities: Identities = field(init=False)

    def __post_init__(self) -> None:
        self.node = NodeConfig.load(self.paths)
        self.identities = Identities.of(self.paths, self.node)

    def actor(self, text: str) -> Actor:
        """An endpoint by its id or name, or an address."""
        endpoint = next((e for e in store.all(self.paths) if text in (str(e.id), e.name)), None)
        if endpoint is not None:
            return Actor(endpoint.identity, endpoint.labels, endpoint)
        try:
            address = ip_address(text)
        except ValueError:
            raise WrongUsage(
                f"{text!r}: neither an endpoint nor an address", "`cilium-py endpoint list` shows the endpoints"
            ) from None
        local = next((e for e in store.all(self.paths) if address in e.addresses), None)
        if local is not None:
            return Actor(local.identity, local.labels, local, address)
        identity = self._identity_of(address)
        return Actor(identity, self.identities.labels.get(identity, ()), None, address)

    def having(self, labels: Iterable[str]) -> Actor:
        """Whoever has just these labels."""
        wanted = label_words.canonical(labels)
        if not wanted:
            raise WrongUsage("no labels were given")
        known = next((n for n, have in self.identities.labels.items() if set(have) == set(wanted)), None)
        return Actor(STRANGER if known is None else known, wanted)

    def trace(self, source: Actor, destination: Actor, protocol: int | None, port: int) -> Trace:
        """Follow the first packet of a connection; without a protocol, that of a ping."""
        ends = _addresses(source, destination)
        if protocol is None:
            protocol, port = echo_request(ends[1] if ends else IPv4Address(0))
        steps = []
        for direction, own, peer in (
            (Direction.EGRESS, source, destination),
            (Direction.INGRESS, destination, source),
        ):
            policy = self._policy(own, peer)
            if policy is not None:
                steps.append(_step(policy, direction, own, peer.identity, protocol, port))
        if not steps:
            raise WrongUsage("neither end is subject to the rules of this node", "name an endpoint, or labels")
        packet = Packet(*ends, protocol, port) if ends else None
        return Trace(source, destination, protocol, port, tuple(steps), packet)

    def _policy(self, own: Actor, peer: Actor) -> DesiredPolicy | None:
        """The policy of one end, as far as it has one here. None for an address of elsewhere."""
        if own.endpoint is None and own.address is not None:
            return None
        endpoint = own.endpoint or Endpoint(0, "", "", labels=own.labels)
        current = rules.load(self.paths)
        if current.is_new and own.endpoint is not None:
            with table.policy_map(policy_pin(self.paths, endpoint.id)) as written:
                by_hand = table.read(written)
            return DesiredPolicy(by_hand, endpoint.enforces_ingress, endpoint.enforces_egress, current.revision)
        known = self.identities
        if peer.identity == STRANGER:
            known = replace(known, endpoints={**known.endpoints, STRANGER: peer.labels})
        return realize.calculate_by(current, self.paths, self.node, endpoint, known)

    def _identity_of(self, address: Address) -> int:
        """What the programs take an address for: the longest prefix in the ipcache, else the world."""
        try:
            with entries.ipcache_map(self.paths) as known:
                found = known.lookup(entries.ipcache_key(ip_network(address)))
        except FileNotFoundError:
            found = None
        if found is not None:
            return ipcache.Value.unpack(found).sec_identity
        return self.identities.of_address(ip_network(address))


def parse_target(text: str) -> tuple[str, int | None, int]:
    """(endpoint or address, protocol or None, port) of `2`, `web:80`, `10.0.0.7:53/UDP`, `[fd00::7]:80/TCP`."""
    name, colon, service = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        return text[1:-1], None, 0
    if not colon or (name.count(":") > 0 and not (name.startswith("[") and name.endswith("]"))):
        return text, None, 0
    port_text, _, protocol_text = service.partition("/")
    protocol = PROTOCOLS.get(protocol_text.upper()) if protocol_text else TCP
    if protocol is None:
        raise WrongUsage(f"{protocol_text!r} is not a protocol", f"there are {', '.join(PROTOCOLS)}")
    if not port_text.isdecimal() or int(port_text) > LAST_PORT:
        raise WrongUsage(f"{port_text!r} is not a port", "write NAME:PORT or NAME:PORT/PROTOCOL")
    return name.removeprefix("[").removesuffix("]"), protocol, int(port_text)


def _addresses(source: Actor, destination: Actor) -> tuple[Address, Address] | None:
    """An address of each end, both of one family."""
    for sender in _own_addresses(source):
        for receiver in _own_addresses(destination):
            if sender.version == receiver.version:
                return sender, receiver
    if source.address and destination.address:
        raise CiliumPyError(f"{source.address} and {destination.address} are of different families")
    return None


def _own_addresses(actor: Actor) -> tuple[Address, ...]:
    if actor.address is not None:
        return (actor.address,)
    return actor.endpoint.addresses if actor.endpoint is not None else ()


def _step(policy: DesiredPolicy, direction: Direction, own: Actor, peer: int, protocol: int, port: int) -> Step:
    found = decide(policy.entries, direction, peer, exactly(protocol, port))
    enforced = policy.enforces(direction)
    entry, origins = "", []
    if found is not None:
        verb = "deny" if found.entry.deny else "allow"
        entry = f"{verb} {direction} {found.key.identity or 'ANY'} {found.key.l4}"
        origins = policy.origins(found.key)
    return Step(
        direction=str(direction),
        endpoint=own.endpoint.id if own.endpoint else 0,
        allowed=not found.entry.deny if found else not enforced,
        enforced=enforced,
        rules=origins,
        entry=entry,
        proxy_port=(found.entry.proxy_port or None) if found else None,
        auth=bool(found and found.entry.auth),
    )
