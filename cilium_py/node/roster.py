"""The nodes that a node knows, itself among them: `nodes.json`, shared by a lab's nodes, edited by `cilium-py node`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Self, TypeAlias

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.loader import state
from cilium_py.schema.order import natural

Address: TypeAlias = IPv4Address | IPv6Address

DEFAULT_CLUSTER = "default"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True)
class KnownNode:
    """A node of the cluster, or of another one: its addresses, and those of its health endpoint."""

    name: str
    cluster: str = DEFAULT_CLUSTER
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    secondary: tuple[Address, ...] = ()
    health_ipv4: IPv4Address | None = None
    health_ipv6: IPv6Address | None = None

    @property
    def full_name(self) -> str:
        """`cluster/name`; the default cluster goes without saying."""
        return self.name if self.cluster == DEFAULT_CLUSTER else f"{self.cluster}/{self.name}"

    @property
    def host_addresses(self) -> tuple[Address, ...]:
        """IPv4 first where there is both, then the secondary ones."""
        return (*_present(self.ipv4, self.ipv6), *self.secondary)

    @property
    def health_addresses(self) -> tuple[Address, ...]:
        return _present(self.health_ipv4, self.health_ipv6)

    def document(self) -> dict[str, Any]:  # what json writes
        single = {
            "ipv4": self.ipv4,
            "ipv6": self.ipv6,
            "health-ipv4": self.health_ipv4,
            "health-ipv6": self.health_ipv6,
        }
        return {
            "name": self.name,
            "cluster": self.cluster,
            **{key: str(address) for key, address in single.items() if address is not None},
            **({"secondary": [str(address) for address in self.secondary]} if self.secondary else {}),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` wrote; ValueError, KeyError or TypeError if it is something else."""

        def ipv4(key: str) -> IPv4Address | None:
            return IPv4Address(document[key]) if document.get(key) else None

        def ipv6(key: str) -> IPv6Address | None:
            return IPv6Address(document[key]) if document.get(key) else None

        return cls(
            name=checked_name(document["name"]),
            cluster=checked_name(document.get("cluster", DEFAULT_CLUSTER)),
            ipv4=ipv4("ipv4"),
            ipv6=ipv6("ipv6"),
            secondary=tuple(map(ip_address, document.get("secondary", ()))),
            health_ipv4=ipv4("health-ipv4"),
            health_ipv6=ipv6("health-ipv6"),
        )


@dataclass(frozen=True)
class Roster:
    """The list of nodes in a directory. Safe between processes."""

    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / "nodes.json"

    def all(self) -> list[KnownNode]:
        """Every node, in natural order."""
        return sorted(self._read(), key=lambda node: natural(node.full_name))

    def find(self, full_name: str) -> KnownNode | None:
        return next((node for node in self._read() if node.full_name == full_name), None)

    def put(self, node: KnownNode) -> None:
        """Add the node, or replace the one of that name. Raises WrongUsage if an address is another node's."""
        with state.locked(self._lock):
            others = [other for other in self._read() if other.full_name != node.full_name]
            self._write([*others, _checked(node, others)])

    def change(self, full_name: str, **changes: Any) -> KnownNode:  # the fields of KnownNode
        """Change fields of a node. Raises CiliumPyError if it is not known."""
        with state.locked(self._lock):
            nodes = {node.full_name: node for node in self._read()}
            if full_name not in nodes:
                raise CiliumPyError(f"{full_name}: no such node", hint="`cilium-py node list` shows them")
            changed = replace(nodes.pop(full_name), **changes)
            self._write([*nodes.values(), _checked(changed, nodes.values())])
        return changed

    def remove(self, full_name: str) -> KnownNode:
        """Forget the node; return what was known. Raises CiliumPyError if it is not known."""
        with state.locked(self._lock):
            nodes = {node.full_name: node for node in self._read()}
            if full_name not in nodes:
                raise CiliumPyError(f"{full_name}: no such node", hint="`cilium-py node list` shows them")
            removed = nodes.pop(full_name)
            self._write(nodes.values())
        return removed

    def stamp(self) -> tuple[int, int] | None:
        """What differs after every change; None while there is no list."""
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino

    @property
    def _lock(self) -> Path:
        return self.directory / "nodes.lock"

    def _read(self) -> list[KnownNode]:
        try:
            entries: list[Any] = json.loads(self.file.read_text())
            if not isinstance(entries, list):
                raise TypeError(f"a list was expected, not {type(entries).__name__}")
            return [KnownNode.of_document(entry) for entry in entries]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, AttributeError, WrongUsage) as error:
            raise CiliumPyError(f"{self.file}: not a list of nodes: {error}") from error

    def _write(self, nodes: Iterable[KnownNode]) -> None:
        ordered = sorted(nodes, key=lambda node: natural(node.full_name))
        state.write_json(self.file, [node.document() for node in ordered])


def checked_name(name: str) -> str:
    """The name of a node or a cluster: letters, digits, dots and dashes."""
    if not _NAME.fullmatch(name):
        raise WrongUsage(f"{name!r}: not a name for a node", hint="letters, digits, dots and dashes")
    return name


def _checked(node: KnownNode, others: Iterable[KnownNode]) -> KnownNode:
    own = (*node.host_addresses, *node.health_addresses)
    if not node.host_addresses:
        raise WrongUsage(f"{node.full_name}: a node without an address", hint="--ip or --ipv6")
    if len(set(own)) < len(own):
        raise WrongUsage(f"{node.full_name}: an address is named twice")
    for other in others:
        shared = set(own) & {*other.host_addresses, *other.health_addresses}
        if shared:
            raise WrongUsage(f"{min(map(str, shared))}: node {other.full_name} has this address")
    return node


def _present(ipv4: IPv4Address | None, ipv6: IPv6Address | None) -> tuple[Address, ...]:
    return tuple(address for address in (ipv4, ipv6) if address is not None)
