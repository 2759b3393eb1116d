"""BPF programs at an interface by clsact and cls_bpf, for kernels before 6.6, which have no tcx links."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal, TypeAlias

from .netlink import naming

if TYPE_CHECKING:
    from pyroute2 import IPRoute

Direction: TypeAlias = Literal["ingress", "egress"]

PARENT = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
ETH_P_ALL = 0x0003
PRIORITY = 1
HANDLE = 1


def attach(netlink: IPRoute, index: int, direction: Direction, program: int, name: str) -> None:
    """Put a program at the interface; one already there under our priority is replaced without a gap."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        netlink.tc("add", "clsact", index)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise OSError(error.code, f"clsact at interface {index}") from error
    with naming(f"{name} at interface {index}"):
        netlink.tc(
            "replace-filter",
            "bpf",
            index,
            HANDLE,
            fd=program,
            name=name,
            parent=PARENT[direction],
            classid=1,
            direct_action=True,
            prio=PRIORITY,
            protocol=ETH_P_ALL,
        )


def detach(netlink: IPRoute, index: int, direction: Direction) -> bool:
    """Take our program away; False if there was none."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        netlink.tc("del-filter", "bpf", index, HANDLE, parent=PARENT[direction], prio=PRIORITY, protocol=ETH_P_ALL)
    except NetlinkError as error:
        if error.code not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
            raise OSError(error.code, f"filter at interface {index}") from error
        return False
    return True


def programs(netlink: IPRoute, index: int, direction: Direction) -> list[str]:
    """Names of the BPF programs at the interface, as they were given at attachment."""
    filters = netlink.get_filters(index=index, parent=PARENT[direction])
    options = (message.get_attr("TCA_OPTIONS") for message in filters)
    names = (found.get_attr("TCA_BPF_NAME") for found in options if found is not None)
    return [name for name in names if name is not None]
