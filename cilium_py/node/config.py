"""What a node is: its name, addresses, pod ranges and router devices, kept in its state directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.net.namespace import NetNamespace
from cilium_py.paths import NodePaths

if TYPE_CHECKING:
    from .identity import IdentityStore
    from .roster import KnownNode, Roster

FILE = "node.json"
HOST_DEVICE, NET_DEVICE = "cilium_host", "cilium_net"
HOST_ENDPOINT_ID = 65535
"""The id that stands for the host itself in reports; endpoints get lower ones."""

WORLD, WORLD_IPV4, WORLD_IPV6 = 2, 9, 10


class NodeMissing(CiliumPyError):
    """No node has its state there."""


class Family4(NamedTuple):
    """The node's IPv4 side: its own address, its router's, and the range of its endpoints."""

    address: IPv4Address
    router: IPv4Address
    pods: IPv4Network


class Family6(NamedTuple):
    """The node's IPv6 side."""

    address: IPv6Address
    router: IPv6Address
    pods: IPv6Network


@dataclass(frozen=True)
class NodeConfig:
    """A node. `options` overrides switches of the programs by their name; indexes are 0 before `init`."""

    name: str
    ipv4: Family4 | None = None
    ipv6: Family6 | None = None
    host_index: int = 0
    host_mac: bytes = bytes(6)
    net_index: int = 0
    netns: str | None = None
    """The network namespace that the node lives in, or None for that of whoever acts on it."""
    identities: str | None = None
    """The directory of identities shared with other nodes, or None for one of its own."""
    roster_directory: str | None = None
    """The directory of a list of nodes shared with other nodes, or None for a list of its own."""
    mtu: int = 1500
    attach: str = "auto"
    """How programs are attached: `tcx`, `tc`, or `auto` for the newest that the kernel has."""
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def namespace(self) -> NetNamespace | None:
        return NetNamespace.parse(self.netns) if self.netns is not None else None

    @property
    def families(self) -> tuple[Family4 | Family6, ...]:
        return tuple(family for family in (self.ipv4, self.ipv6) if family is not None)

    def identity_store(self, paths: NodePaths) -> IdentityStore:
        from .identity import IdentityStore

        return IdentityStore(Path(self.identities) if self.identities else paths.state_dir / "identities")

    def roster(self, paths: NodePaths) -> Roster:
        from .roster import Roster

        return Roster(Path(self.roster_directory) if self.roster_directory else paths.state_dir)

    def introduction(self) -> KnownNode:
        """The node as others may know it, without the health endpoint that it may have."""
        from .roster import KnownNode

        return KnownNode(
            self.name,
            ipv4=self.ipv4.address if self.ipv4 is not None else None,
            ipv6=self.ipv6.address if self.ipv6 is not None else None,
        )

    def settings(self) -> dict[str, int | bytes]:
        """The programs' options that are the same for every endpoint of the node, by name."""
        both = self.ipv4 is not None and self.ipv6 is not None
        settings: dict[str, int | bytes] = {
            "cilium_host_mac": self.host_mac.ljust(8, b"\0"),
            "cilium_net_ifindex": self.net_index,
            "enable_ipv4": int(self.ipv4 is not None),
            "enable_ipv6": int(self.ipv6 is not None),
            "world_id_ipv4": WORLD_IPV4 if both else WORLD,
            "world_id_ipv6": WORLD_IPV6 if both else WORLD,
            # The node's routes lead to the endpoints' own interfaces, where their programs wait.
            "enable_endpoint_routes": 1,
            "enable_host_routing": 1,
        }
        if self.ipv6 is not None:
            settings["router_ipv6"] = self.ipv6.router.packed
        return {**settings, **self.options}

    def save(self, paths: NodePaths) -> None:
        state.write_json(paths.state_dir / FILE, _document(self))

    @classmethod
    def load(cls, paths: NodePaths) -> Self:
        """Read what `save` wrote, here or in another version, whose other fields are left alone.

        Raises NodeMissing, or CiliumPyError if it is something else.
        """
        path = paths.state_dir / FILE
        try:
            document = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise NodeMissing(
                f"{path}: no node here",
                hint="cilium-py node init makes this machine one; cilium-py lab up, one to try",
            ) from error
        except ValueError as error:
            raise CiliumPyError(f"{path}: not a node: {error}") from error
        try:
            known = {each.name: document[each.name] for each in fields(cls) if each.name in document}
            known["ipv4"], known["ipv6"] = _family4(document["ipv4"]), _family6(document["ipv6"])
            known["host_mac"] = bytes.fromhex(document["host_mac"])
            return state.checked(cls(**known))
        except (KeyError, TypeError, ValueError) as error:
            raise CiliumPyError(f"{path}: not a node: {error}") from error


def _document(node: NodeConfig) -> dict[str, Any]:  # what json writes
    document = {**asdict(node), "host_mac": node.host_mac.hex()}
    for name, family in (("ipv4", node.ipv4), ("ipv6", node.ipv6)):
        if family is not None:
            document[name] = {part: str(value) for part, value in family._asdict().items()}
    return document


def _family4(texts: Mapping[str, str] | None) -> Family4 | None:
    if texts is None:
        return None
    return Family4(IPv4Address(texts["address"]), IPv4Address(texts["router"]), IPv4Network(texts["pods"]))


def _family6(texts: Mapping[str, str] | None) -> Family6 | None:
    if texts is None:
        return None
    return Family6(IPv6Address(texts["address"]), IPv6Address(texts["router"]), IPv6Network(texts["pods"]))
