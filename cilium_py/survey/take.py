"""A survey of the live node: its pins, and every program that has to do with them or sits at its interfaces."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from cilium_py.bpf import pins
from cilium_py.bpf.btf import Btf
from cilium_py.bpf.link import Link, cgroup_programs, netkit_programs, tcx_programs
from cilium_py.bpf.map import BpfMap, btf_of
from cilium_py.bpf.program import Program, program_ids
from cilium_py.errors import CiliumPyError
from cilium_py.libbpf.constants import BPF_OBJ_NAME_LEN, AttachType, MapType
from cilium_py.maps import endpoint
from cilium_py.net.namespace import NetNamespace, inside
from cilium_py.paths import NodePaths
from cilium_py.table import Family

from .model import Attachment, DeviceFacts, EndpointFacts, LinkPin, MapFacts, MapPin, ProgramFacts, Survey

NETKIT = {"ingress": AttachType.NETKIT_PEER, "egress": AttachType.NETKIT_PRIMARY}
"""What the pod sends is seen at its end of a netkit pair, which the primary end answers for."""
NOT_HERE = (errno.EINVAL, errno.ENODEV, errno.ENXIO, errno.EOPNOTSUPP)
"""What a kernel without that hook, or a device of another kind, says."""


def take(paths: NodePaths, namespace: NetNamespace | None = None, *, with_netlink: bool = True) -> Survey:
    """Look at the node. What is not permitted is named in `unseen`; without any pin, FileNotFoundError."""
    unseen: list[str] = []
    pinned = list(map_pins(paths.globals))
    links = list(link_pins(paths.bpf_root / "cilium"))
    with inside(namespace):
        devices = [DeviceFacts(name, index) for index, name in socket.if_nameindex()]
        attachments = [*_at_interfaces(unseen), *_at_cgroups(unseen)]
        if with_netlink:
            attachments += _by_netlink()
    wanted = {a.program_id for a in attachments} | {link.program_id for link in links}
    wanted |= {program for pin in pinned for program in pin.program_ids}
    ours = {pin.id for pin in pinned}
    programs = [facts for facts in _programs() if facts.id in wanted or ours & set(facts.map_ids)]
    used = {map_id for facts in programs for map_id in facts.map_ids}
    return Survey(programs, list(_maps(used)), attachments, links, pinned, _endpoints(paths), devices, unseen)


def map_pins(directory: Path) -> Iterator[MapPin]:
    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        try:
            opened = BpfMap.open(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                continue  # gone meanwhile, or no map
            raise
        with opened:
            yield MapPin(path.name, opened.info.id, opened.info.name, opened.info.type_name, _held_programs(opened))


def link_pins(directory: Path) -> Iterator[LinkPin]:
    """The links pinned anywhere below a directory."""
    for pin in pins.walk(directory):
        if pin.kind == "link":
            with suppress(FileNotFoundError), Link.open(pin.path) as link:
                info = link.info
                yield LinkPin(str(pin.path), info.id, info.program_id, info.ifindex, info.type_name)


def programs_by_id(wanted: Iterable[int]) -> dict[int, ProgramFacts]:
    """Those of these programs that are still there."""
    found = {}
    for program_id in wanted:
        with suppress(FileNotFoundError):
            found[program_id] = _facts(program_id)
    return found


def _held_programs(opened: BpfMap) -> list[int]:
    if opened.info.type != MapType.PROG_ARRAY:
        return []
    return sorted({int.from_bytes(value, "little") for _, value in opened.entries()} - {0})


def _programs() -> Iterator[ProgramFacts]:
    for program_id in program_ids():
        with suppress(FileNotFoundError):
            yield _facts(program_id)


def _facts(program_id: int) -> ProgramFacts:
    with Program.from_id(program_id) as program:
        info = program.info
        name = info.name
        if info.btf_id and len(name) == BPF_OBJ_NAME_LEN - 1:
            name = _name_of(info.btf_id, program.function_type()) or name
        return ProgramFacts(
            info.id, name, info.type_name, info.tag, list(info.map_ids), info.run_time_ns, info.run_cnt
        )  # fmt: skip


@cache
def _types(btf_id: int) -> Btf:
    return Btf(btf_of(btf_id))


def _name_of(btf_id: int, type_id: int) -> str:
    try:
        return _types(btf_id).record(type_id)[4] if type_id else ""
    except (OSError, ValueError):
        return ""


def _maps(ids: Iterable[int]) -> Iterator[MapFacts]:
    for map_id in sorted(ids):
        with suppress(FileNotFoundError), BpfMap.from_id(map_id) as opened:
            yield MapFacts(map_id, opened.info.name, opened.info.type_name, _held_programs(opened))


def _at_interfaces(unseen: list[str]) -> Iterator[Attachment]:
    for index, name in socket.if_nameindex():
        for direction in ("ingress", "egress"):
            try:
                for found in tcx_programs(index, direction):
                    yield Attachment(name, index, direction, "tcx", found.program_id, found.link_id)
            except OSError as error:
                if error.errno not in NOT_HERE:
                    unseen.append(f"{name} {direction}: {error.strerror}")
            with suppress(OSError):  # not a netkit device, or a kernel without
                for found in netkit_programs(index, NETKIT[direction]):
                    yield Attachment(name, index, direction, "netkit", found.program_id, found.link_id)


def _by_netlink() -> Iterator[Attachment]:
    from cilium_py.net import hooks
    from cilium_py.net.netlink import netlink

    with netlink() as talk:
        for found in hooks.programs(talk):
            how = "xdp" if found.hook == "xdp" else "tc"
            yield Attachment(found.interface, found.ifindex, found.hook, how, found.program_id, 0, found.name)


def _at_cgroups(unseen: list[str]) -> Iterator[Attachment]:
    for root in cgroup_roots():
        for hook in AttachType:
            if not hook.name.startswith("CGROUP_"):
                continue
            try:
                for program_id in cgroup_programs(root, hook):
                    name = hook.name.removeprefix("CGROUP_").lower()
                    yield Attachment(str(root), 0, name, "cgroup", program_id, 0)
            except OSError as error:
                if error.errno not in NOT_HERE:
                    unseen.append(f"{root}: {error.strerror}")
                    break


def cgroup_roots() -> list[Path]:
    """Where cgroup v2 is mounted: the tree is one, so the first place is enough."""
    lines = Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()
    found = [Path(line.split(" ")[1]) for line in lines if line.split(" ")[2:3] == ["cgroup2"]]
    return found[:1]


def _endpoints(paths: NodePaths) -> list[EndpointFacts]:
    try:
        rows = Family(endpoint.MAP, paths.globals).rows()
        found = {(row.endpoint_id, row.ifindex, row.identity) for row in rows if not row.host}
    except CiliumPyError:
        return []
    return [EndpointFacts(*facts) for facts in sorted(found)]
