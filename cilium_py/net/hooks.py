"""Every BPF program that netlink knows of at the interfaces of a namespace: tc filters and XDP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .filter import PARENT

if TYPE_CHECKING:
    from pyroute2 import IPRoute

XDP_PROGRAMS = ("IFLA_XDP_DRV_PROG_ID", "IFLA_XDP_SKB_PROG_ID", "IFLA_XDP_HW_PROG_ID", "IFLA_XDP_PROG_ID")


class NetlinkProgram(NamedTuple):
    """A program at an interface. The hook is ingress, egress or xdp; the name is what tc was told, if anything."""

    interface: str
    ifindex: int
    hook: str
    program_id: int
    name: str


def programs(netlink: IPRoute) -> Iterator[NetlinkProgram]:
    """Those at every interface of the socket's namespace."""
    names: dict[int, str] = {}
    for message in netlink.get_links():
        names[message["index"]] = message.get("ifname")
        for program_id in _xdp(message):
            yield NetlinkProgram(message.get("ifname"), message["index"], "xdp", program_id, "")
    for qdisc in netlink.get_qdiscs():
        if qdisc.get("kind") == "clsact" and qdisc["index"] in names:
            for hook, parent in PARENT.items():
                yield from _filters(netlink, names[qdisc["index"]], qdisc["index"], hook, parent)


def _filters(netlink: IPRoute, name: str, index: int, hook: str, parent: int) -> Iterator[NetlinkProgram]:
    for message in netlink.get_filters(index=index, parent=parent):
        options = message.get_attr("TCA_OPTIONS")
        program_id = options.get_attr("TCA_BPF_ID") if message.get_attr("TCA_KIND") == "bpf" and options else None
        if program_id:
            yield NetlinkProgram(name, index, hook, program_id, options.get_attr("TCA_BPF_NAME") or "")


def _xdp(message: Any) -> set[int]:  # pyroute2's messages have no types
    xdp = message.get_attr("IFLA_XDP")
    return {found for attribute in XDP_PROGRAMS if (found := xdp.get_attr(attribute))} if xdp else set()
