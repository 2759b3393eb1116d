"""Addresses of interfaces."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, TypeAlias

from .netlink import naming

if TYPE_CHECKING:
    from pyroute2 import IPRoute

Address: TypeAlias = IPv4Interface | IPv6Interface

IFA_F_NODAD = 0x02


def put(netlink: IPRoute, index: int, address: Address) -> None:
    """Give the interface an address, usable at once: no duplicate address detection."""
    with naming(f"address {address}"):
        netlink.addr(
            "replace",
            index=index,
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
            **({"flags": IFA_F_NODAD} if address.version == 6 else {}),
        )
