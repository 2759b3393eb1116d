"""Network interfaces: veth pairs, bridges, their state."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cilium_py.errors import CiliumPyError, WrongUsage

from .namespace import NetNamespace
from .netlink import naming

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_NAME = re.compile(r"(?!\.{1,2}$)[^\s/:%\0]{1,15}")


@dataclass(frozen=True)
class Interface:
    """An interface as the kernel describes it; `peer` is the index of a veth's other side, elsewhere."""

    name: str
    index: int
    mac: bytes
    mtu: int
    peer: int
    up: bool


def checked_name(name: str) -> str:
    """An interface name that the kernel would take."""
    if not _NAME.fullmatch(name):
        raise WrongUsage(f"{name!r}: not a name for a network interface", hint="at most 15 characters, no space or /")
    return name


def find(netlink: IPRoute, name: str) -> Interface | None:
    """The interface of that name, or None."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        messages = list(netlink.link("get", ifname=checked_name(name)))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise OSError(error.code, f"interface {name}") from error
        return None
    return _interface(messages[0])


def get(netlink: IPRoute, name: str) -> Interface:
    found = find(netlink, name)
    if found is None:
        raise CiliumPyError(f"{name}: no such network interface")
    return found


def create_veth(
    netlink: IPRoute,
    name: str,
    peer: str,
    mac: bytes | None = None,
    peer_mac: bytes | None = None,
    peer_namespace: NetNamespace | None = None,
    mtu: int | None = None,
) -> None:
    """Make a pair of interfaces joined by a cable, the peer perhaps in another namespace. Both are down."""
    ours: dict[str, Any] = {"ifname": checked_name(name), "kind": "veth"}
    theirs: dict[str, Any] = {"ifname": checked_name(peer)}
    for side, address in ((ours, mac), (theirs, peer_mac)):
        if address is not None:
            side["address"] = text_of(address)
        if mtu is not None:
            side["mtu"] = mtu
    with naming(f"veth {name}"):
        if peer_namespace is None:
            netlink.link("add", **ours, peer=theirs)
            return
        with peer_namespace.path.open("rb") as target:
            netlink.link("add", **ours, peer={**theirs, "net_ns_fd": target.fileno()})


def create_bridge(netlink: IPRoute, name: str) -> None:
    with naming(f"bridge {name}"):
        netlink.link("add", ifname=checked_name(name), kind="bridge")


def attach_to_bridge(netlink: IPRoute, index: int, bridge: int) -> None:
    with naming("bridge port"):
        netlink.link("set", index=index, master=bridge)


def set_up(netlink: IPRoute, index: int) -> None:
    with naming(f"interface {index} up"):
        netlink.link("set", index=index, state="up")


def delete(netlink: IPRoute, name: str) -> bool:
    """Delete the interface, and a veth's peer with it; False if there was none."""
    found = find(netlink, name)
    if found is None:
        return False
    with naming(f"interface {name}"):
        netlink.link("del", index=found.index)
    return True


def text_of(mac: bytes) -> str:
    return mac.hex(":")


def _interface(message: Any) -> Interface:  # pyroute2's messages have no types
    return Interface(
        name=message.get("ifname"),
        index=message["index"],
        mac=bytes.fromhex((message.get("address") or "00:00:00:00:00:00").replace(":", "")),
        mtu=message.get("mtu"),
        peer=message.get("link") or 0,
        up=bool(message["flags"] & 1),
    )
