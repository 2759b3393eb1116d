"""Every BPF program that netlink knows of at the interfaces of a namespace: tc filters and XDP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .filter import PARENT

if TYPE_CHECKING:
    from pyroute2 import IPRoute

TCA_BPF_ID, NLA_HEADER = 11, 4
_U32 = struct.Struct("=I")
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
        program_id = _program_id(options) if message.get_attr("TCA_KIND") == "bpf" and options else 0
        if program_id:
            yield NetlinkProgram(name, index, hook, program_id, options.get_attr("TCA_BPF_NAME") or "")


def _program_id(options: Any) -> int:  # pyroute2's messages have no types
    """The id of a filter's program, an attribute that pyroute2 0.9 has no name for."""
    for name, value in options["attrs"]:
        if name == "TCA_BPF_ID":
            return int(value)
        if name == "UNKNOWN" and value["header"]["type"] == TCA_BPF_ID:
            return int(_U32.unpack_from(value.data, value.offset + NLA_HEADER)[0])
    return 0


def _xdp(message: Any) -> set[int]:  # pyroute2's messages have no types
    xdp = message.get_attr("IFLA_XDP")
    return {found for attribute in XDP_PROGRAMS if (found := xdp.get_attr(attribute))} if xdp else set()
