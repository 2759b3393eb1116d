"""The nodes of a cluster as an agent of Cilium told them, or as maps have their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from cilium_py.bpf.directory import Pins
from cilium_py.errors import LayoutMismatch, MapMissing, WrongUsage
from cilium_py.maps import ipcache, nodeid, tunnel
from cilium_py.node.identity import RESERVED
from cilium_py.node.roster import DEFAULT_CLUSTER, Address, KnownNode, checked_name
from cilium_py.schema import MapDef
from cilium_py.schema.text import unmapped
from cilium_py.table import Family

from . import told
from .told import Told, part, text

R = TypeVar("R", bound=tuple[Any, ...])
NODES = (RESERVED["remote-node"], RESERVED["kube-apiserver"])


def told_nodes(said: Told) -> list[KnownNode]:
    found = {}
    for document in said.nodes:
        cluster, _, name = text(document.get("name")).rpartition("/")
        primary, health = document.get("primary-address"), document.get("health-endpoint-address")
        others = (part(each, "ip") for each in told.objects(document.get("secondary-addresses")))
        with suppress(WrongUsage):
            node = KnownNode(
                checked_name(name), checked_name(cluster or DEFAULT_CLUSTER),
                told.ipv4(part(primary, "ipv4", "ip")), told.ipv6(part(primary, "ipv6", "ip")),
                tuple(address for address in map(_address, others) if address is not None),
                told.ipv4(part(health, "ipv4", "ip")), told.ipv6(part(health, "ipv6", "ip")),
            )  # fmt: skip
            found[node.full_name] = node
    return list(found.values())


def seen_nodes(pins: Pins) -> list[KnownNode]:
    """The nodes whose addresses maps have: those of one node id are one node, the others one each."""
    named: dict[str, list[bytes]] = {}
    for of_id in rows(nodeid.MAP, pins):
        named.setdefault(f"id-{of_id.node_id}", []).append(unmapped(of_id.address))
    known = {address for addresses in named.values() for address in addresses}
    seen, health = dict[bytes, None](), dict[bytes, list[Address]]()
    for pods in rows(tunnel.MAP, pins):
        seen[unmapped(pods.tunnel_endpoint)] = None
    for row in rows(ipcache.MAP, pins):
        if row.prefix is None:
            continue
        base, length = row.prefix
        seen[unmapped(row.tunnel_endpoint)] = None
        if row.identity in NODES and length == 8 * len(base):
            seen[base] = None
        if row.identity == RESERVED["health"]:
            health.setdefault(unmapped(row.tunnel_endpoint), []).append(ip_address(base))
    for address in seen.keys() - known:
        if any(address):
            named[str(ip_address(address)).replace(":", "-").strip("-")] = [address]
    # Of several addresses, that comes first which others send tunneled packets to.
    in_order = {name: sorted(addresses, key=lambda each: each not in seen) for name, addresses in named.items()}
    return [_of_addresses(name, addresses, health) for name, addresses in in_order.items()]


def _of_addresses(name: str, packed: Iterable[bytes], health: Mapping[bytes, list[Address]]) -> KnownNode:
    own = [ip_address(address) for address in packed]
    probed = [address for one in own for address in health.get(one.packed, ())]
    ipv4, ipv6 = _first(own, IPv4Address), _first(own, IPv6Address)
    others = tuple(address for address in own if address not in (ipv4, ipv6))
    return KnownNode(
        name, DEFAULT_CLUSTER, ipv4, ipv6, others, _first(probed, IPv4Address), _first(probed, IPv6Address)
    )


A = TypeVar("A", IPv4Address, IPv6Address)


def _first(addresses: Iterable[Address], kind: type[A]) -> A | None:
    return next((address for address in addresses if isinstance(address, kind)), None)


def _address(value: object) -> Address | None:
    return told.ipv4(value) or told.ipv6(value)


def rows(definition: MapDef[R], pins: Pins) -> Iterator[R]:
    """The rows of a family; none where its maps were not recorded, or in a way that fits several layouts."""
    with suppress(MapMissing, LayoutMismatch):
        yield from Family(definition, pins).rows()
