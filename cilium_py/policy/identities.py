"""Every identity that a node knows, and which of them a peer of a rule selects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, ip_network

from cilium_py.errors import CiliumPyError
from cilium_py.node.config import NodeConfig
from cilium_py.node.identity import RESERVED
from cilium_py.paths import NodePaths

from .cidr import CidrIdentities, CidrIdentity
from .labels import LabelSelector, LabelSet
from .mapstate import ANYONE
from .rule import Cidr, ClusterEndpoints, Entity, Network, Peer

CLUSTER_ENTITIES = ("host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver")
WORLD, WORLD_IPV4, WORLD_IPV6 = RESERVED["world"], RESERVED["world-ipv4"], RESERVED["world-ipv6"]
EVERY_ADDRESS = {ip_network("0.0.0.0/0"), ip_network("::/0")}


@dataclass(frozen=True)
class Identities:
    """The identities at one moment: reserved ones, those of endpoints, those of CIDRs."""

    endpoints: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    cidrs: Mapping[int, CidrIdentity] = field(default_factory=dict)
    families: frozenset[int] = frozenset((4, 6))
    """The IP versions of the node: with both, the world of each has an identity of its own."""

    @classmethod
    def of(cls, paths: NodePaths, node: NodeConfig) -> Identities:
        """Read what the node's state says now."""
        return cls(
            {identity.number: identity.labels for identity in node.identity_store(paths).all()},
            {identity.number: identity for identity in CidrIdentities.of(paths).all()},
            frozenset(family.router.version for family in node.families),
        )

    @property
    def dual_stack(self) -> bool:
        return len(self.families) == 2

    def world(self, version: int) -> int:
        """The identity of an address that nothing is known of."""
        if not self.dual_stack:
            return WORLD
        return WORLD_IPV4 if version == 4 else WORLD_IPV6

    @cached_property
    def labels(self) -> dict[int, tuple[str, ...]]:
        """Number -> labels, in order of the numbers."""
        known: dict[int, tuple[str, ...]] = {
            number: (f"reserved:{name}",) for name, number in RESERVED.items() if number != ANYONE
        }
        known[RESERVED["kube-apiserver"]] = ("reserved:kube-apiserver", "reserved:remote-node")
        known |= self.endpoints
        known |= {number: identity.labels(self.dual_stack) for number, identity in self.cidrs.items()}
        return dict(sorted(known.items()))

    @cached_property
    def _sets(self) -> dict[int, LabelSet]:
        return {number: LabelSet(labels) for number, labels in self.labels.items()}

    def having(self, labels: Iterable[str]) -> list[int]:
        """The identities that have all of these labels; a label without a source is of any."""
        wanted = [label if ":" in label.partition("=")[0] else f"any:{label}" for label in labels]
        return [
            number
            for number, known in self._sets.items()
            if all(value in known.values(key) for key, _, value in (label.partition("=") for label in wanted))
        ]

    def select(self, peer: Peer) -> frozenset[int]:
        """The identities that a peer means; {ANYONE} for everyone, known or not."""
        match peer:
            case LabelSelector():
                if peer.selects_all:
                    return frozenset((ANYONE,))
                return frozenset(number for number, labels in self._sets.items() if peer.matches(labels))
            case Cidr():
                return frozenset(self._within(peer))
            case Entity():
                return frozenset(self._entity(peer.name))
            case ClusterEndpoints():
                return frozenset(self.endpoints)

    def _within(self, peer: Cidr) -> Iterator[int]:
        if peer.network in EVERY_ADDRESS:
            yield self.world(peer.network.version)
        for number, identity in self.cidrs.items():
            excepted = any(contains(network, identity.network) for network in peer.excepted)
            if contains(peer.network, identity.network) and not excepted:
                yield number

    def _entity(self, name: str) -> Iterator[int]:
        match name:
            case "all":
                yield ANYONE
            case "none":
                return
            case "cluster":
                yield from (RESERVED[known] for known in CLUSTER_ENTITIES)
                yield from self.endpoints
            case "remote-node":
                yield from (RESERVED["remote-node"], RESERVED["kube-apiserver"])
            case "world":
                yield from (WORLD, WORLD_IPV4, WORLD_IPV6)
                yield from self.cidrs
            case "world-ipv4" | "world-ipv6":
                version = int(name[-1])
                yield RESERVED[name]
                if self.families == {version}:
                    yield WORLD
                yield from (n for n, identity in self.cidrs.items() if identity.network.version == version)
            case _:
                yield RESERVED[name]

    def of_address(self, network: Network) -> int:
        """The identity that the longest CIDR around an address gives it."""
        around = [identity for identity in self.cidrs.values() if contains(identity.network, network)]
        if not around:
            return self.world(network.version)
        return max(around, key=lambda identity: identity.network.prefixlen).number


def contains(outer: Network, inner: Network) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return not isinstance(inner, IPv4Network) and inner.subnet_of(outer)


class UnknownIdentity(CiliumPyError):
    """No identity has that number or those labels."""
