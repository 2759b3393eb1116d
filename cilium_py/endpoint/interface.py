"""The interface pair of an endpoint: the host side in the node, the other side in the workload's namespace."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING

from cilium_py.errors import CiliumPyError
from cilium_py.net import address, link, neighbour, route, sysctl
from cilium_py.net.link import Interface
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node.config import Family4, Family6, NodeConfig

from .model import Endpoint

if TYPE_CHECKING:
    from cilium_py.net.netlink import IPRoute

LINGERING_SECONDS = 2.0


def provide(node: NodeConfig, endpoint: Endpoint) -> Endpoint:
    """Find the endpoint's interfaces, or make the pair where there is none; return the endpoint with their facts."""
    namespace = endpoint.namespace
    if namespace is None:
        with netlink(node.namespace) as socket:
            host_side = link.get(socket, endpoint.interface)
            _settle_host_side(socket, node, endpoint, host_side)
        return replace(endpoint, interface_index=host_side.index, interface_mac=host_side.mac)
    with netlink(namespace) as socket:
        existing = link.find(socket, endpoint.pod_interface)
    with netlink(node.namespace) as socket:
        if existing is None:
            _await_its_end(socket, endpoint.interface)
            link.create_veth(
                socket, endpoint.interface, endpoint.pod_interface, random_mac(), random_mac(), namespace, node.mtu
            )
        host_side = link.get(socket, endpoint.interface)
    with netlink(namespace) as socket:
        pod_side = link.get(socket, endpoint.pod_interface)
        if pod_side.peer != host_side.index:
            raise CiliumPyError(
                f"{endpoint.interface} and {endpoint.pod_interface} in {namespace.name} are not one pair"
            )
        _settle_pod_side(socket, node, endpoint, pod_side)
    endpoint = replace(
        endpoint,
        interface_index=host_side.index,
        interface_mac=host_side.mac,
        pod_mac=pod_side.mac,
        netns_cookie=namespace.cookie(),
    )
    with netlink(node.namespace) as socket:
        _settle_host_side(socket, node, endpoint, host_side)
    return endpoint


def _await_its_end(socket: IPRoute, name: str) -> None:
    """Wait for the host side of a workload that just went: the kernel takes namespaces apart in its own time."""
    deadline = time.monotonic() + LINGERING_SECONDS
    while link.find(socket, name) is not None and time.monotonic() < deadline:
        time.sleep(0.01)


def is_missing(netns: str | None, name: str) -> bool:
    """Whether the workload's namespace lacks the interface, so that `provide` is to make it."""
    if netns is None:
        return False
    with netlink(NetNamespace.parse(netns)) as socket:
        return link.find(socket, name) is None


def withdraw(node: NodeConfig, endpoint: Endpoint) -> None:
    """Remove what `provide` made; of an interface that was there before, only the routes."""
    if node.namespace is not None and not node.namespace.exists():
        return
    with netlink(node.namespace) as socket:
        if endpoint.owns_interface:
            link.delete(socket, endpoint.interface)
        else:
            for own in endpoint.addresses:
                route.drop(socket, ip_network(own), endpoint.interface_index)


def random_mac() -> bytes:
    """A MAC address of nobody's: locally administered, not a group."""
    first, *rest = os.urandom(6)
    return bytes([first & 0xFC | 0x02, *rest])


def _settle_host_side(socket: IPRoute, node: NodeConfig, endpoint: Endpoint, interface: Interface) -> None:
    """No addresses of its own; routes to the endpoint, and its MAC fixed so that nobody asks for it."""
    _quiet(interface.name)
    sysctl.write(f"ipv4/conf/{interface.name}/rp_filter", 0)
    link.set_up(socket, interface.index)
    routers = {family.router.version: family.router for family in node.families}
    for own in endpoint.addresses:
        route.put(socket, ip_network(own), interface.index, source=routers.get(own.version))
        neighbour.put(socket, interface.index, own, endpoint.pod_mac)


def _settle_pod_side(socket: IPRoute, node: NodeConfig, endpoint: Endpoint, interface: Interface) -> None:
    """The endpoint's addresses, and the node's router as the way to everywhere."""
    _quiet(interface.name)
    link.set_up(socket, interface.index)
    for own, family in _families(node.families, endpoint):
        address.put(socket, interface.index, ip_interface(own))
        route.put(socket, ip_network(family.router), interface.index)
        everywhere = ip_network("0.0.0.0/0" if own.version == 4 else "::/0")
        route.put(socket, everywhere, interface.index, gateway=family.router)


def _families(
    families: Iterable[Family4 | Family6], endpoint: Endpoint
) -> list[tuple[route.Address, Family4 | Family6]]:
    """Each address of the endpoint with the node's side of its family."""
    by_version = {family.router.version: family for family in families}
    return [(own, by_version[own.version]) for own in endpoint.addresses if own.version in by_version]


def _quiet(name: str) -> None:
    """No link-local address and no duplicate address detection: nothing sends from what is not the endpoint's."""
    if sysctl.has_ipv6():
        sysctl.write(f"ipv6/conf/{name}/addr_gen_mode", 1)
        sysctl.write(f"ipv6/conf/{name}/accept_dad", 0)
