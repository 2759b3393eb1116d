"""Making a node: its state directory, its bpffs, its router devices, its global maps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.loader.template import prebuilt_object
from cilium_py.net import address, link, route, sysctl
from cilium_py.net.netlink import netlink
from cilium_py.paths import NodePaths

from . import entries
from .config import HOST_DEVICE, NET_DEVICE, NodeConfig, NodeMissing

if TYPE_CHECKING:
    from cilium_py.net.netlink import IPRoute

HOST_IDENTITY = 1


def init(paths: NodePaths, node: NodeConfig) -> NodeConfig:
    """Make the node, or complete what there is of it; return it with its devices found."""
    _check_place(paths, node)
    state.make_directory(paths.state_dir)
    mount_bpffs(paths.bpf_root)
    with state.locked(paths.state_dir / "locks" / "node"):
        with netlink(node.namespace) as socket:
            node = _make_devices(socket, node)
        node.save(paths)
        state.write_json(paths.state_dir / "agent-runtime-config.json", _runtime_config(node))
        make_maps(paths)
        own = [own for family in node.families for own in (family.address, family.router)]
        entries.put_local(paths, own, entries.HOST, HOST_IDENTITY)
    return node


def remove(paths: NodePaths) -> None:
    """Take the node away: devices, routes, pins, state. It has no endpoints any more."""
    node = NodeConfig.load(paths)
    if node.namespace is None or node.namespace.exists():
        with netlink(node.namespace) as socket:
            link.delete(socket, HOST_DEVICE)
            for family in node.families:
                route.drop_unreachable(socket, family.pods)
    if paths.globals.exists():
        for pin in paths.globals.iterdir():
            pin.unlink()
        paths.globals.rmdir()
    state.remove_directory(paths.state_dir)


def _check_place(paths: NodePaths, node: NodeConfig) -> None:
    """Leave alone what is another's: the maps of a Cilium agent, a node with other ranges."""
    try:
        present = NodeConfig.load(paths)
    except NodeMissing:
        if any(paths.globals.glob("cilium_*")):
            raise CiliumPyError(
                f"{paths.globals}: another Cilium has its maps here",
                hint="--bpf-root and --state-dir name other places",
            ) from None
        return
    if present.families != node.families:
        raise CiliumPyError(
            f"{paths.state_dir}: node {present.name} is here already, with other addresses",
            hint="cilium-py node remove",
        )


def make_maps(paths: NodePaths) -> None:
    """Pin the maps that all programs share, where they are not yet, by loading the endpoint object once.

    Its programs are loaded too, and dropped: libbpf 1.1 cannot leave them out of a program array.
    """
    for directory in (paths.bpf_root / "tc", paths.globals):
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
    with BpfObject.open(prebuilt_object(), pin_root=paths.globals) as opened:
        opened.load()


def _make_devices(socket: IPRoute, node: NodeConfig) -> NodeConfig:
    if link.find(socket, HOST_DEVICE) is None:
        link.create_veth(socket, HOST_DEVICE, NET_DEVICE)
    for name in (HOST_DEVICE, NET_DEVICE):
        _quiet(name)
        link.set_up(socket, link.get(socket, name).index)
    host = link.get(socket, HOST_DEVICE)
    for family in node.families:
        address.put(socket, host.index, ip_interface(family.router))
        route.put_unreachable(socket, family.pods)
    for setting in _forwarding(node):
        sysctl.write(*setting)
    return replace(node, host_index=host.index, host_mac=host.mac, net_index=link.get(socket, NET_DEVICE).index)


def _quiet(name: str) -> None:
    """As for Cilium's own devices: no ARP, no link-local address, no check that replies leave where requests came."""
    sysctl.write(f"ipv4/conf/{name}/rp_filter", 0)
    if sysctl.has_ipv6():
        sysctl.write(f"ipv6/conf/{name}/addr_gen_mode", 1)
        sysctl.write(f"ipv6/conf/{name}/accept_dad", 0)


def _forwarding(node: NodeConfig) -> Iterator[tuple[str, int]]:
    if node.ipv4 is not None:
        yield "ipv4/ip_forward", 1
        yield "ipv4/conf/all/rp_filter", 0
    if node.ipv6 is not None:
        yield "ipv6/conf/all/forwarding", 1


def _runtime_config(node: NodeConfig) -> dict[str, object]:
    """What other tools read of an agent's options when no agent answers them."""
    return {
        "EnableIPv4": node.ipv4 is not None,
        "EnableIPv6": node.ipv6 is not None,
        "ClockSource": 0,
        "KernelHz": 0,
    }
