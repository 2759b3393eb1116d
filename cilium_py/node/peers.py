"""Other nodes in the maps of this one: the identities of their addresses, and of their health endpoints'."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from cilium_py.paths import NodePaths

from . import entries
from .config import NodeConfig
from .identity import RESERVED
from .roster import KnownNode


def sync(paths: NodePaths, config: NodeConfig, before: Iterable[KnownNode], after: Iterable[KnownNode]) -> None:
    """Bring the ipcache from one list of nodes to another. The node's own entries are left alone."""
    own = config.introduction().full_name
    old, new = ({node.full_name: node for node in nodes if node.full_name != own} for nodes in (before, after))
    kept = {address for node in new.values() for address in (*node.host_addresses, *node.health_addresses)}
    for name, node in old.items():
        if node != new.get(name):
            for address in {*node.host_addresses, *node.health_addresses} - kept:
                entries.drop_identity(paths, ip_network(address))
    for name, node in new.items():
        if node != old.get(name):
            _meet(paths, node)


def _meet(paths: NodePaths, node: KnownNode) -> None:
    for address in node.host_addresses:
        entries.put_identity(paths, ip_network(address), RESERVED["remote-node"])
    for address in node.health_addresses:
        entries.put_identity(paths, ip_network(address), RESERVED["health"], node.host_addresses[0])
