"""Making a lab: the wire, the nodes, the pods, each by the calls that a real node is made by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

from cilium_py.endpoint.add import Request, add
from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.loader.template import prebuilt_object
from cilium_py.net import sysctl
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node import entries, setup
from cilium_py.node.config import NodeConfig
from cilium_py.node.identity import RESERVED

from . import network, teardown
from .network import WORLD4, WORLD6, Site
from .registry import Lab, Pod

PREFER_IPV4 = "precedence ::ffff:0:0/96 100\n"
"""So that a name means the pod's IPv4 address unless a command asks for the other."""


def silent(line: str) -> None:
    """Tell nobody how far it is."""


def up(plan: Lab, progress: Callable[[str], None] = silent) -> Lab:
    """Make the lab. What an earlier, unfinished one left is removed first; a running one is left alone."""
    prebuilt_object()
    if plan.ipv6 and not sysctl.has_ipv6():
        raise CiliumPyError("no IPv6 in this kernel", hint="cilium-py lab up --no-ipv6")
    with state.locked(plan.lock):
        found = Lab.find(plan.root)
        if found is not None and found.complete:
            raise CiliumPyError("a lab is running already", hint="cilium-py lab status; cilium-py lab down")
        if found is not None:
            progress("removing what an unfinished lab left")
            teardown.remove(found)
        plan.save()
        try:
            return _make(plan, progress)
        except BaseException:
            teardown.remove(plan)
            teardown.give_up(plan.lock)
            raise


def _make(plan: Lab, progress: Callable[[str], None]) -> Lab:
    wire = NetNamespace.named(plan.netns("net"))
    wire.create()
    network.make_bridge(wire, plan.ipv4, plan.ipv6)
    configs = {}
    for number, name in enumerate(plan.node_names, 1):
        progress(name)
        configs[name] = _make_node(plan, wire, name, Site(number))
    pods = []
    for pod in plan.pods:
        progress(f"{pod.name} on {pod.node}")
        pods.append(_make_pod(plan, pod))
    lab = replace(plan, pods=tuple(pods), complete=True)
    _introduce(lab, configs)
    state.make_directory(lab.etc)
    state.write(lab.etc / "hosts", _hosts(lab))
    state.write(lab.etc / "gai.conf", PREFER_IPV4)
    lab.save()
    return lab


def _make_node(plan: Lab, wire: NetNamespace, name: str, site: Site) -> NodeConfig:
    namespace = NetNamespace.named(plan.netns(name))
    namespace.create()
    network.plug_in(wire, namespace, name, site, plan.ipv4, plan.ipv6)
    with netlink(namespace) as socket:
        for number in range(1, len(plan.node_names) + 1):
            if number != site.number:
                network.route_to(socket, Site(number), plan.ipv4, plan.ipv6)
    state.make_directory(plan.root / name)
    config = NodeConfig(
        name=name,
        ipv4=site.ipv4 if plan.ipv4 else None,
        ipv6=site.ipv6 if plan.ipv6 else None,
        netns=namespace.name,
        identities=str(plan.identities),
        roster_directory=str(plan.roster),
        attach=plan.attach,
        options=plan.options,
    )
    return setup.init(plan.paths(name), config)


def _make_pod(plan: Lab, pod: Pod) -> Pod:
    namespace = NetNamespace.named(plan.netns(pod.name))
    namespace.create()
    request = Request(name=pod.name, netns=namespace.name, labels=(f"pod={pod.name}",))
    endpoint = add(plan.paths(pod.node), request)
    return replace(pod, endpoint=endpoint.id, ipv4=str(endpoint.ipv4 or ""), ipv6=str(endpoint.ipv6 or ""))


def _introduce(lab: Lab, configs: dict[str, NodeConfig]) -> None:
    """Tell each node the identities of the other nodes and of their pods, and the node that a pod is on."""
    for config in configs.values():
        config.roster(lab.paths(config.name)).put(config.introduction())
    for name in lab.node_names:
        paths = lab.paths(name)
        for other, config in configs.items():
            if other == name:
                continue
            for family in config.families:
                for own in (family.address, family.router):
                    entries.put_identity(paths, ip_network(own), RESERVED["remote-node"])
            for pod in lab.pods_of(other):
                _introduce_pod(lab, name, pod, config)


def _introduce_pod(lab: Lab, node: str, pod: Pod, home: NodeConfig) -> None:
    from cilium_py.endpoint import store

    identity = store.load(lab.paths(pod.node), pod.endpoint).identity
    tunnel = home.families[0].address
    for text in (pod.ipv4, pod.ipv6):
        if text:
            entries.put_identity(lab.paths(node), ip_network(ip_address(text)), identity, tunnel)


def _hosts(lab: Lab) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    sites = [(name, Site(number)) for number, name in enumerate(lab.node_names, 1)]
    if lab.ipv4:
        lines += [f"{site.ipv4.address} {name}" for name, site in sites]
        lines += [f"{pod.ipv4} {pod.name}" for pod in lab.pods]
        lines.append(f"{WORLD4} world")
    if lab.ipv6:
        lines += [f"{site.ipv6.address} {name}" for name, site in sites]
        lines += [f"{pod.ipv6} {pod.name}" for pod in lab.pods]
        lines.append(f"{WORLD6} world")
    return "\n".join(lines) + "\n"
