"""Neighbour entries: which MAC address an IP address on a link has."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from .link import text_of
from .netlink import naming

if TYPE_CHECKING:
    from pyroute2 import IPRoute

NUD_PERMANENT = 0x80


def put(netlink: IPRoute, index: int, address: IPv4Address | IPv6Address, mac: bytes) -> None:
    """Fix the MAC address of a neighbour, so that the node never asks for it."""
    with naming(f"neighbour {address}"):
        netlink.neigh(
            "replace",
            family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
            ifindex=index,
            dst=str(address),
            lladdr=text_of(mac),
            state=NUD_PERMANENT,
        )
