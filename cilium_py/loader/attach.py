"""Programs at an interface: by a pinned tcx link that is updated in place, else by clsact and cls_bpf."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import NamedTuple

from cilium_py.bpf.link import Link
from cilium_py.bpf.program import Program
from cilium_py.net import filter as tc
from cilium_py.net.filter import Direction
from cilium_py.net.namespace import NetNamespace, inside


class Hook(NamedTuple):
    """One side of an interface, and the directory where its link is pinned under the program's name."""

    interface: int
    """Its index."""
    direction: Direction
    links: Path
    namespace: NetNamespace | None = None
    mode: str = "auto"
    """`tcx`, `tc`, or `auto`: tcx where the kernel has it."""


def attach(program: Program, name: str, hook: Hook) -> None:
    """Put the program in the place of the one that runs there under that name, without a packet between them."""
    pin = hook.links / name
    if hook.mode != "tc" and (_update(program, pin) or _link(program, pin, hook)):
        return
    _filter(program, name, hook)
    pin.unlink(missing_ok=True)


def detach(name: str, hook: Hook) -> None:
    """Take the program of that name away, however it was attached."""
    (hook.links / name).unlink(missing_ok=True)
    if hook.mode == "tcx":
        return
    from cilium_py.net.netlink import netlink

    with netlink(hook.namespace) as socket:
        tc.detach(socket, hook.interface, hook.direction)


def is_attached(name: str, hook: Hook) -> bool:
    """Whether a program of that name sees the interface's packets."""
    pin = hook.links / name
    if pin.exists():
        with Link.open(pin) as link:
            return bool(link.info.ifindex == hook.interface)
    if hook.mode == "tcx":
        return False
    from cilium_py.net.netlink import netlink

    with netlink(hook.namespace) as socket:
        return name in tc.programs(socket, hook.interface, hook.direction)


def _update(program: Program, pin: Path) -> bool:
    """Exchange the program of a pinned link; False if there is no link, or its interface is gone."""
    try:
        link = Link.open(pin)
    except FileNotFoundError:
        return False
    with link:
        try:
            link.update(program)
        except OSError as error:
            # ENOLINK: the interface was deleted, which leaves a link that leads nowhere.
            if error.errno != errno.ENOLINK:
                raise
            pin.unlink()
            return False
    return True


def _link(program: Program, pin: Path, hook: Hook) -> bool:
    """Make and pin a tcx link; False on a kernel that has none."""
    try:
        with inside(hook.namespace):
            link = Link.tcx(program, hook.interface, hook.direction)
    except OSError as error:
        # EINVAL: before Linux 6.6, no such attach type.
        if error.errno != errno.EINVAL or hook.mode == "tcx":
            raise
        return False
    with link:
        pin.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        link.pin(pin)
    return True


def _filter(program: Program, name: str, hook: Hook) -> None:
    from cilium_py.net.netlink import netlink

    with netlink(hook.namespace) as socket:
        tc.attach(socket, hook.interface, hook.direction, program.fd, name)
