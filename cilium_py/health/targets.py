"""Whom to probe: every known node and its health endpoint, the own ones included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cilium_py.node.config import NodeConfig
from cilium_py.node.roster import KnownNode
from cilium_py.paths import NodePaths
from cilium_py.schema.order import natural


@dataclass(frozen=True)
class Target:
    """A node's addresses as text, the primary one first."""

    name: str
    host: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()

    def roles(self) -> Iterator[tuple[str, str, str]]:
        """Each address, whose it is (`node` or `endpoint`), and its rank (`primary` or `secondary`)."""
        for kind, addresses in (("node", self.host), ("endpoint", self.endpoint)):
            for at, address in enumerate(addresses):
                yield address, kind, "secondary" if at else "primary"


def known_nodes(paths: NodePaths, config: NodeConfig) -> list[KnownNode]:
    """The nodes of the roster; the node itself too, should it not stand there."""
    nodes = config.roster(paths).all()
    own = config.introduction()
    return nodes if any(node.full_name == own.full_name for node in nodes) else [own, *nodes]


def targets(nodes: Iterable[KnownNode], has_family: Callable[[int], bool]) -> tuple[Target, ...]:
    """The addresses of the families that this node speaks, in natural order of the nodes' names."""
    found = (
        Target(
            node.full_name,
            tuple(str(address) for address in node.host_addresses if has_family(address.version)),
            tuple(str(address) for address in node.health_addresses if has_family(address.version)),
        )
        for node in nodes
    )
    return tuple(sorted(found, key=lambda target: natural(target.name)))
