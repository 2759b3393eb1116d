"""What a node's maps say of addresses: `cilium_lxc` which are its own, `cilium_ipcache_v2` which identity each has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple, TypeAlias

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.own import own_map
from cilium_py.maps import endpoint, ipcache
from cilium_py.paths import NodePaths
from cilium_py.schema import Struct

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

ENDPOINT_MAP, IPCACHE_MAP = "cilium_lxc", "cilium_ipcache_v2"
FAMILY = {4: ipcache.FAMILY_4, 6: ipcache.FAMILY_6}
"""The family byte of a key, by IP version."""
ENDPOINT_F_HOST = 1


class LocalEntry(NamedTuple):
    """Where an address of this node leads: to an endpoint's interface, or to the host itself."""

    interface: int = 0
    endpoint_id: int = 0
    mac: bytes = bytes(6)
    node_mac: bytes = bytes(6)
    identity: int = 0
    flags: int = 0


HOST = LocalEntry(flags=ENDPOINT_F_HOST)


def endpoint_map(paths: NodePaths) -> BpfMap:
    """The node's endpoints, to be changed. Raises FileNotFoundError, LayoutMismatch."""
    return own_map(endpoint.MAP.source(ENDPOINT_MAP).layout("1.17"), paths.globals / ENDPOINT_MAP, read_only=False)


def ipcache_map(paths: NodePaths, *, read_only: bool = True) -> BpfMap:
    """Raises FileNotFoundError, LayoutMismatch."""
    return own_map(ipcache.MAP.source(IPCACHE_MAP).layout("1.18"), paths.globals / IPCACHE_MAP, read_only=read_only)


def put_local(paths: NodePaths, addresses: Iterable[Address], entry: LocalEntry, identity: int | None = None) -> None:
    """Make addresses known as the node's own, and their identity (the entry's, unless another is given)."""
    known_as = entry.identity if identity is None else identity
    with endpoint_map(paths) as table:
        value = _packed(
            endpoint.Value,
            {
                "ifindex": entry.interface,
                "lxc_id": entry.endpoint_id,
                "flags": entry.flags,
                "mac": entry.mac.ljust(8, b"\0"),
                "node_mac": entry.node_mac.ljust(8, b"\0"),
                "sec_id": entry.identity,
            },
        )
        for address in addresses:
            table.update(_endpoint_key(address), value)
            put_identity(paths, ip_network(address), known_as)


def drop_local(paths: NodePaths, addresses: Iterable[Address]) -> None:
    """Forget addresses, where they are known."""
    for address in addresses:
        with contextlib.suppress(FileNotFoundError), endpoint_map(paths) as table:
            table.delete(_endpoint_key(address))
        drop_identity(paths, ip_network(address))


def put_identity(paths: NodePaths, prefix: Network, identity: int, node: Address | None = None) -> None:
    """Let every address of the prefix have the identity; `node` is the address of the node that it lives on."""
    flags = 0
    if node is not None:
        flags = ipcache.HAS_TUNNEL | (ipcache.IPV6_TUNNEL if node.version == 6 else 0)
    fields: dict[str, int | bytes] = {
        "sec_identity": identity,
        "tunnel_endpoint": node.packed.ljust(16, b"\0") if node else bytes(16),
        "flags": flags,
    }
    with ipcache_map(paths, read_only=False) as table:
        table.update(ipcache_key(prefix), _packed(ipcache.Value, fields))


def drop_identity(paths: NodePaths, prefix: Network) -> None:
    with contextlib.suppress(FileNotFoundError), ipcache_map(paths, read_only=False) as table:
        table.delete(ipcache_key(prefix))


def _endpoint_key(address: Address) -> bytes:
    return _packed(endpoint.Key, {"ip": address.packed.ljust(16, b"\0"), "family": FAMILY[address.version]})


def ipcache_key(prefix: Network) -> bytes:
    fields: dict[str, int | bytes] = {
        "prefixlen": ipcache.STATIC_BITS + prefix.prefixlen,
        "family": FAMILY[prefix.version],
        "ip": prefix.network_address.packed.ljust(16, b"\0"),
    }
    return _packed(ipcache.Key, fields)


def _packed(kind: type[Struct], fields: dict[str, int | bytes]) -> bytes:
    return kind(**fields).pack()
