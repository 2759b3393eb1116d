"""Routes of the main table."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, TypeAlias

from .netlink import naming

if TYPE_CHECKING:
    from pyroute2 import IPRoute

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

RT_SCOPE_LINK = 253
RT_SCOPE_NOWHERE = 255


def put(
    netlink: IPRoute,
    destination: Network,
    index: int,
    gateway: Address | None = None,
    source: Address | None = None,
    mtu: int | None = None,
) -> None:
    """Send what is for the destination out of the interface, by a gateway or straight; replaces a route."""
    route: dict[str, Any] = {"family": _family(destination), "dst": str(destination), "oif": index}
    if gateway is not None:
        route["gateway"] = str(gateway)
    elif destination.version == 4:
        route["scope"] = RT_SCOPE_LINK
    if source is not None:
        route["prefsrc"] = str(source)
    if mtu is not None:
        route["metrics"] = {"attrs": [["RTAX_MTU", mtu]]}
    with naming(f"route to {destination}"):
        netlink.route("replace", **route)


def put_unreachable(netlink: IPRoute, destination: Network) -> None:
    """Answer that the destination cannot be reached, where no longer route knows better."""
    with naming(f"route to {destination}"):
        netlink.route("replace", family=_family(destination), dst=str(destination), type="unreachable")


def drop_unreachable(netlink: IPRoute, destination: Network) -> bool:
    """Take back what `put_unreachable` put; False if it was not there."""
    return _delete(netlink, destination, type="unreachable")


def drop(netlink: IPRoute, destination: Network, index: int) -> bool:
    """Take a route of this interface away; False if there was none."""
    return _delete(netlink, destination, oif=index, scope=RT_SCOPE_NOWHERE)


def _delete(netlink: IPRoute, destination: Network, **route: Any) -> bool:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        netlink.route("del", family=_family(destination), dst=str(destination), **route)
    except NetlinkError as error:
        if error.code not in (errno.ESRCH, errno.ENODEV):
            raise OSError(error.code, f"route to {destination}") from error
        return False
    return True


def _family(destination: Network) -> int:
    return socket.AF_INET if destination.version == 4 else socket.AF_INET6
