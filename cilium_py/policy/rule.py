"""Rules, parsed: whom they select, whom they let through, on which ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from .labels import LabelSelector

Network: TypeAlias = IPv4Network | IPv6Network


class Direction(IntEnum):
    """The value is the policy map's `egress` bit."""

    INGRESS = 0
    EGRESS = 1

    def __str__(self) -> str:
        return self.name.lower()


class AuthType(IntEnum):
    DISABLED = 0
    SPIRE = 1
    ALWAYS_FAIL = 2


@dataclass(frozen=True, slots=True)
class Entity:
    """A peer by its role: `world`, `host`, `cluster`, `all`."""

    name: str

    def __str__(self) -> str:
        return f"entity {self.name}"


@dataclass(frozen=True, slots=True)
class ClusterEndpoints:
    """Every endpoint of the cluster: what an empty selector means in a policy of Kubernetes without a namespace."""

    def __str__(self) -> str:
        return "every endpoint"


@dataclass(frozen=True, slots=True)
class Cidr:
    """Addresses outside the cluster, some of them excepted."""

    network: Network
    excepted: tuple[Network, ...] = ()

    def __str__(self) -> str:
        return f"{self.network}" + "".join(f" except {network}" for network in self.excepted)


Peer: TypeAlias = LabelSelector | Entity | ClusterEndpoints | Cidr


@dataclass(frozen=True, slots=True)
class Port:
    """A protocol (None for TCP, UDP and SCTP) and its ports from first to last; port 0 means all of them."""

    protocol: int | None
    first: int
    last: int

    @property
    def every(self) -> bool:
        return self.first == 0


@dataclass(frozen=True, slots=True)
class NamedPort:
    protocol: int | None
    name: str


@dataclass(frozen=True, slots=True)
class IcmpType:
    """A message type of ICMP (protocol 1) or ICMPv6 (58)."""

    protocol: int
    type: int


PortMatch: TypeAlias = Port | NamedPort | IcmpType


@dataclass(frozen=True, slots=True)
class Redirect:
    """Traffic goes through a proxy: the parser that reads it, its listener, and which of two redirects wins."""

    parser: str
    listener: str | None
    priority: int
    """1 is strongest, 126 weakest, as a policy writes it; 0 for none given."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One ingress or egress section: peers (None for anyone, empty for nobody) and, if any, the ports."""

    direction: Direction
    deny: bool
    peers: tuple[Peer, ...] | None
    ports: tuple[tuple[PortMatch, Redirect | None], ...] = ()
    has_ports: bool = False
    auth: AuthType | None = None
    path: str = ""
    """Where in its rule it stands, as `ingress[0]`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. `origin` is what replaces it when imported again, empty for a bare rule."""

    subject: LabelSelector
    passages: tuple[Passage, ...]
    default_deny: tuple[bool, bool]
    """Whether selecting an endpoint makes ingress, and egress, closed by default."""
    labels: tuple[str, ...] = ()
    description: str = ""
    origin: str = ""
    name: str = field(default="")
    """What to call it in messages."""
