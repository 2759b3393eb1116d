"""The report of a prober: the document of cilium-health's API, its keys in a fixed order.

What is added to Cilium's document is `mtu` beside `icmp` and `http`: an echo as large as the path is said to carry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from cilium_py.errors import CiliumPyError
from cilium_py.schema.order import natural


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe found. An empty status is success; a latency of 0 was not measured; size is an echo's bytes."""

    latency: int = 0
    """Nanoseconds."""
    status: str = ""
    last_probed: str = ""
    size: int = 0

    @property
    def ok(self) -> bool:
        return not self.status

    def document(self) -> dict[str, Any]:
        full = {
            "lastProbed": self.last_probed,
            "latency": self.latency,
            "size": self.size,
            "status": self.status,
        }
        return {key: value for key, value in full.items() if value}

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Self | None:
        if document is None:
            return None
        return cls(
            int(document.get("latency", 0)),
            str(document.get("status", "")),
            str(document.get("lastProbed", "")),
            int(document.get("size", 0)),
        )


@dataclass(frozen=True, slots=True)
class Path:
    """An address and what the probes of it found; None is not probed yet."""

    ip: str
    icmp: Outcome | None = None
    http: Outcome | None = None
    mtu: Outcome | None = None

    def having(self, protocol: str, outcome: Outcome) -> Path:
        """The path with the outcome of one protocol replaced."""
        known = {"icmp": self.icmp, "http": self.http, "mtu": self.mtu, protocol: outcome}
        return Path(self.ip, known["icmp"], known["http"], known["mtu"])

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for key, outcome in (("http", self.http), ("icmp", self.icmp)):
            if outcome is not None:
                document[key] = outcome.document()
        document["ip"] = self.ip
        if self.mtu is not None:
            document["mtu"] = self.mtu.document()
        return document

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Self | None:
        if document is None:
            return None
        outcomes = (Outcome.read(document.get(key)) for key in ("icmp", "http", "mtu"))
        return cls(str(document.get("ip", "")), *outcomes)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The paths to a node, or to its health endpoint."""

    primary: Path | None = None
    secondary: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that has an address."""
        return (*((self.primary,) if self.primary is not None else ()), *self.secondary)

    def document(self) -> dict[str, Any]:
        primary = {"primary-address": self.primary.document()} if self.primary is not None else {}
        secondary = [path.document() for path in self.secondary]
        return {**primary, **({"secondary-addresses": secondary} if secondary else {})}

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Self | None:
        if document is None:
            return None
        secondary = (Path.read(entry) for entry in document.get("secondary-addresses") or ())
        return cls(Path.read(document.get("primary-address")), tuple(path for path in secondary if path is not None))


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node as seen from the prober's."""

    name: str
    host: Addresses | None = None
    endpoint: Addresses | None = None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {}
        if self.endpoint is not None:
            if self.endpoint.primary is not None:
                document["endpoint"] = self.endpoint.primary.document()
            document["health-endpoint"] = self.endpoint.document()
        if self.host is not None:
            document["host"] = self.host.document()
        return {**document, "name": self.name}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        endpoint = Addresses.read(document.get("health-endpoint"))
        if endpoint is None and (primary := Path.read(document.get("endpoint"))) is not None:
            endpoint = Addresses(primary)
        return cls(str(document["name"]), Addresses.read(document.get("host")), endpoint)


class Leg(NamedTuple):
    """A path with its place in a report: of which node, `node` or `endpoint`, `primary` or `secondary`."""

    node: str
    type: str
    rank: str
    path: Path


@dataclass(frozen=True, slots=True)
class Report:
    """Every node as seen from one. The timestamp is when the round began; the interval is in Go's words."""

    timestamp: str
    interval: str
    local: str
    nodes: tuple[NodeReport, ...] = ()

    def legs(self) -> Iterator[Leg]:
        """Every path there is."""
        for node in self.nodes:
            for kind, addresses in (("node", node.host), ("endpoint", node.endpoint)):
                if addresses is None:
                    continue
                if addresses.primary is not None:
                    yield Leg(node.name, kind, "primary", addresses.primary)
                for path in addresses.secondary:
                    yield Leg(node.name, kind, "secondary", path)

    def document(self) -> dict[str, Any]:
        return {
            "local": {"name": self.local},
            "nodes": [node.document() for node in self.nodes],
            "probeInterval": self.interval,
            "timestamp": self.timestamp,
        }

    @classmethod
    def read(cls, document: Any) -> Self:  # whatever a server answered
        """Read a document of ours, or of Cilium's own prober, with its nodes in natural order."""
        try:
            nodes = sorted(map(NodeReport.read, document.get("nodes") or ()), key=lambda node: natural(node.name))
            return cls(
                str(document.get("timestamp", "")),
                str(document.get("probeInterval", "")),
                str((document.get("local") or {}).get("name", "")),
                tuple(nodes),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CiliumPyError(f"not a health report: {error!r}") from error
