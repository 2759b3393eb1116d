"""The wire between a lab's nodes: a bridge in a namespace of its own, which is also the world outside the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_network,
)
from typing import TYPE_CHECKING

from cilium_py.net import address, link, route, sysctl
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node.config import Family4, Family6

if TYPE_CHECKING:
    from cilium_py.net.netlink import IPRoute

BRIDGE, UPLINK = "br0", "eth0"
NODES4, NODES6 = IPv4Network("172.30.0.0/24"), IPv6Network("fd30::/64")
PODS4, PODS6 = IPv4Network("10.244.0.0/16"), IPv6Network("fd10:244::/48")
WORLD4, WORLD6 = NODES4[254], NODES6[254]
"""The bridge's own addresses: a host that is in no cluster."""


@dataclass(frozen=True)
class Site:
    """The addresses of the lab's n-th node, counted from 1."""

    number: int

    @property
    def ipv4(self) -> Family4:
        pods = IPv4Network((PODS4[self.number << 8], 24))
        return Family4(NODES4[self.number], pods[254], pods)

    @property
    def ipv6(self) -> Family6:
        pods = IPv6Network((PODS6[self.number << 64], 64))
        return Family6(NODES6[self.number], pods[254], pods)


def make_bridge(namespace: NetNamespace, ipv4: bool, ipv6: bool) -> None:
    with netlink(namespace) as socket:
        link.create_bridge(socket, BRIDGE)
        bridge = link.get(socket, BRIDGE)
        if ipv6:
            sysctl.write(f"ipv6/conf/{BRIDGE}/accept_dad", 0)
        link.set_up(socket, bridge.index)
        for interface in _interfaces(WORLD4, WORLD6, ipv4, ipv6):
            address.put(socket, bridge.index, interface)


def plug_in(wire: NetNamespace, node: NetNamespace, port: str, site: Site, ipv4: bool, ipv6: bool) -> None:
    """Lay a cable from the bridge to the node, give the node its addresses, and the world a route to its pods."""
    with netlink(wire) as socket:
        link.create_veth(socket, port, UPLINK, peer_namespace=node)
        index = link.get(socket, port).index
        link.attach_to_bridge(socket, index, link.get(socket, BRIDGE).index)
        link.set_up(socket, index)
        bridge = link.get(socket, BRIDGE).index
        for family in _wanted(site, ipv4, ipv6):
            route.put(socket, family.pods, bridge, gateway=family.address)
    with netlink(node) as socket:
        index = link.get(socket, UPLINK).index
        if ipv6:
            sysctl.write(f"ipv6/conf/{UPLINK}/accept_dad", 0)
        link.set_up(socket, index)
        for interface in _interfaces(site.ipv4.address, site.ipv6.address, ipv4, ipv6):
            address.put(socket, index, interface)
        for gateway, everywhere in ((WORLD4, "0.0.0.0/0"), (WORLD6, "::/0")):
            if (gateway.version == 4 and ipv4) or (gateway.version == 6 and ipv6):
                route.put(socket, ip_network(everywhere), index, gateway=gateway)


def route_to(socket: IPRoute, other: Site, ipv4: bool, ipv6: bool) -> None:
    """Let a node send what is for another node's pods to that node."""
    index = link.get(socket, UPLINK).index
    for family in _wanted(other, ipv4, ipv6):
        route.put(socket, family.pods, index, gateway=family.address)


def _wanted(site: Site, ipv4: bool, ipv6: bool) -> list[Family4 | Family6]:
    return [*([site.ipv4] if ipv4 else []), *([site.ipv6] if ipv6 else [])]


def _interfaces(own4: IPv4Address, own6: IPv6Address, ipv4: bool, ipv6: bool) -> list[IPv4Interface | IPv6Interface]:
    found: list[IPv4Interface | IPv6Interface] = []
    if ipv4:
        found.append(IPv4Interface((own4, NODES4.prefixlen)))
    if ipv6:
        found.append(IPv6Interface((own6, NODES6.prefixlen)))
    return found
