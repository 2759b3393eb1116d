"""Links: a program on a hook for as long as the link is open or pinned, replaced in one step by update."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self

from cilium_py.bpf.handle import Handle, ids, info_of
from cilium_py.bpf.pins import pinned
from cilium_py.bpf.program import Program
from cilium_py.libbpf import library, syscall
from cilium_py.libbpf.constants import (
    BPF_F_BEFORE,
    BPF_F_REPLACE,
    XDP_FLAGS_DRV_MODE,
    XDP_FLAGS_SKB_MODE,
    AttachType,
    LinkType,
)
from cilium_py.libbpf.structs import (
    bpf_iter_link_info,
    bpf_link_create_opts,
    bpf_link_info,
    bpf_link_update_opts,
)

Direction = Literal["ingress", "egress"]
XdpMode = Literal["native", "generic", "any"]

_TCX = {"ingress": AttachType.TCX_INGRESS, "egress": AttachType.TCX_EGRESS}
_XDP = {"native": XDP_FLAGS_DRV_MODE, "generic": XDP_FLAGS_SKB_MODE, "any": 0}


class LinkInfo(NamedTuple):
    """What the kernel says of a link. What its kind of link does not have is 0; so is the ifindex once detached."""

    type: int
    id: int
    program_id: int
    ifindex: int = 0
    attach_type: int = 0
    cgroup_id: int = 0
    netns_ino: int = 0
    map_id: int = 0

    @property
    def type_name(self) -> str:
        try:
            return LinkType(self.type).name.lower()
        except ValueError:
            return f"type {self.type}"


class TcxProgram(NamedTuple):
    """A program on a tcx hook. `link_id` is 0 for one that was attached without a link."""

    program_id: int
    link_id: int


class Link(Handle):
    """An attachment. Closing the last handle of a link that is not pinned takes the program off its hook."""

    @classmethod
    def tcx(cls, program: Program, ifindex: int, direction: Direction, *, first: bool = False) -> Self:
        """Attach to a device's tcx hook, in Linux since 6.6; behind the programs already there, unless `first`.

        An older kernel answers EINVAL.
        """
        hook = _TCX[direction]
        if not first:
            return cls(library().bpf_link_create(program.fd, ifindex, hook, None))
        attributes = syscall.link_create(
            prog_fd=program.fd, target_ifindex=ifindex, attach_type=hook, flags=BPF_F_BEFORE
        )
        return cls(syscall.bpf(syscall.BPF_LINK_CREATE, attributes, "attach first on tcx"))

    @classmethod
    def xdp(cls, program: Program, ifindex: int, mode: XdpMode = "any") -> Self:
        """Attach to a device's XDP hook: in its driver, in the generic path, or wherever it can."""
        options = bpf_link_create_opts(flags=_XDP[mode])
        return cls(library().bpf_link_create(program.fd, ifindex, AttachType.XDP, options))

    @classmethod
    def cgroup(cls, program: Program, directory: Path, hook: AttachType) -> Self:
        """Attach to a cgroup v2 and all below it."""
        with _directory(directory) as cgroup:
            return cls(library().bpf_link_create(program.fd, cgroup.fd, hook, None))

    @classmethod
    def netns(cls, program: Program, namespace: Path, hook: AttachType) -> Self:
        """Attach to a network namespace: socket lookup."""
        with Handle(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)) as opened:
            return cls(library().bpf_link_create(program.fd, opened.fd, hook, None))

    @classmethod
    def iterator(cls, program: Program, map_fd: int | None = None) -> Self:
        """Prepare an iterator program, over a map if it is one for maps. Its pin can be read like a file."""
        target = bpf_iter_link_info(map_fd=map_fd or 0)
        options = bpf_link_create_opts(
            iter_info=ctypes.addressof(target) if map_fd is not None else None,
            iter_info_len=ctypes.sizeof(target) if map_fd is not None else 0,
        )
        return cls(library().bpf_link_create(program.fd, 0, AttachType.TRACE_ITER, options))

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls(pinned(path, "link"))

    @classmethod
    def from_id(cls, link_id: int) -> Self:
        return cls(library().bpf_link_get_fd_by_id(link_id))

    @property
    def info(self) -> LinkInfo:
        """Ask the kernel, anew each time."""
        info = info_of(self.fd, bpf_link_info)
        common = LinkInfo(info.type, info.id, info.prog_id)
        if info.type in (LinkType.TCX, LinkType.NETKIT):
            return common._replace(ifindex=info.device.ifindex, attach_type=info.device.attach_type)
        if info.type == LinkType.XDP:
            return common._replace(ifindex=info.device.ifindex, attach_type=AttachType.XDP)
        if info.type == LinkType.CGROUP:
            return common._replace(cgroup_id=info.cgroup.cgroup_id, attach_type=info.cgroup.attach_type)
        if info.type == LinkType.NETNS:
            return common._replace(netns_ino=info.netns.netns_ino, attach_type=info.netns.attach_type)
        if info.type == LinkType.ITER:
            return common._replace(map_id=info.iter.map_id, attach_type=AttachType.TRACE_ITER)
        return common

    def update(self, program: Program, expected: Program | None = None) -> None:
        """Put another program in place without a packet in between; EPERM if `expected` is not the present one."""
        options = bpf_link_update_opts(
            flags=BPF_F_REPLACE if expected else 0, old_prog_fd=expected.fd if expected else 0
        )
        library().bpf_link_update(self.fd, program.fd, options)

    def detach(self) -> None:
        """Take the program off its hook, whoever else holds the link."""
        library().bpf_link_detach(self.fd)


def tcx_programs(ifindex: int, direction: Direction) -> list[TcxProgram]:
    """The programs on a device's tcx hook, in the order in which they run."""
    return _programs_at(ifindex, _TCX[direction], with_links=True)


def netkit_programs(ifindex: int, side: AttachType) -> list[TcxProgram]:
    """The programs of a netkit device. Only the primary one answers, for both sides. In Linux since 6.7."""
    return _programs_at(ifindex, side, with_links=True)


def cgroup_programs(directory: Path, hook: AttachType) -> list[int]:
    """The programs attached to a cgroup v2 itself, not those inherited, by id."""
    with _directory(directory) as cgroup:
        return [found.program_id for found in _programs_at(cgroup.fd, hook, with_links=False)]


def _programs_at(target: int, hook: AttachType, *, with_links: bool) -> list[TcxProgram]:
    room = 16
    while True:
        programs, links = (ctypes.c_uint32 * room)(), (ctypes.c_uint32 * room)()
        attributes = syscall.query(
            target_fd=target,
            attach_type=hook,
            prog_ids=ctypes.addressof(programs),
            link_ids=ctypes.addressof(links) if with_links else 0,
            count=room,
        )
        try:
            syscall.bpf(syscall.BPF_PROG_QUERY, attributes, f"query {hook.name.lower()}")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            room = attributes.count + 1
            continue
        pairs = zip(programs[: attributes.count], links[: attributes.count], strict=True)
        return [TcxProgram(*pair) for pair in pairs]


def link_ids() -> Iterator[int]:
    """Every link in the kernel, by id. Needs CAP_SYS_ADMIN."""
    return ids(library().bpf_link_get_next_id)


def _directory(path: Path) -> Handle:
    return Handle(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
