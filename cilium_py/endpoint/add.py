"""Make an endpoint: an id, addresses, an identity, an interface, programs. Asking twice changes nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

from cilium_py.errors import CiliumPyError, EndpointMissing, WrongUsage
from cilium_py.loader import state
from cilium_py.net.link import checked_name
from cilium_py.net.namespace import NetNamespace
from cilium_py.node import labels as label_words
from cilium_py.node.config import HOST_ENDPOINT_ID, Family4, Family6, NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.policy import realize

from . import history, interface, lifecycle, states, store
from .delete import delete_locked
from .model import Endpoint
from .regenerate import Build, regenerate_locked
from .status import is_complete

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Request:
    """What the new endpoint is to be. What is left out is chosen: the id, the addresses, the names."""

    name: str | None = None
    netns: str | None = None
    pod_interface: str = "eth0"
    interface: str | None = None
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    labels: tuple[str, ...] = ()
    mac: bytes | None = None
    """MAC address of the workload's side of an interface that is there already."""
    id: int | None = None
    container_id: str = ""
    options: dict[str, int] = field(default_factory=dict)
    named_ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> protocol and port, for rules that name ports."""


def add(paths: NodePaths, request: Request, build: Build | None = None) -> Endpoint:
    """Make the endpoint and wait until its programs run; if it cannot be made, nothing of it is left."""
    build = build or Build()
    node = NodeConfig.load(paths)
    _check(request)
    with state.locked(store.allocation_lock(paths)):
        _finish_deletes(paths, node)
        known = list(store.all(paths))
        endpoint = next((other for other in known if _is_same(other, request)), None)
        if endpoint is None:
            endpoint = _choose(node, request, known)
            _begin(paths, endpoint)
    with state.locked(store.lock_of(paths, endpoint.id)):
        endpoint = store.load(paths, endpoint.id)
        if is_complete(paths, node, endpoint) and not _changes(endpoint, request):
            return endpoint
        fresh = not paths.endpoint(endpoint.id).exists()
        try:
            made = _make(paths, node, endpoint, request, build)
        except BaseException:
            if fresh:
                delete_locked(paths, node, endpoint)
            raise
    if made.identity != endpoint.identity or made.named_ports != endpoint.named_ports:
        realize.refresh_others(paths, made.id)
    return made


def _begin(paths: NodePaths, endpoint: Endpoint) -> None:
    """Take the id, by the directory of the first build."""
    history.forget(paths, endpoint.id)
    directory = paths.endpoint_next(endpoint.id)
    try:
        state.make_directory(directory)
        store.save(directory, endpoint)
    except BaseException:
        state.remove_directory(directory)
        raise


def _finish_deletes(paths: NodePaths, node: NodeConfig) -> None:
    """Whatever is being deleted is not there any more; where nobody goes on with it, it was cut short."""
    for endpoint in store.all(paths):
        if history.recorded(paths, endpoint.id) == states.DISCONNECTING:
            with state.locked(store.lock_of(paths, endpoint.id)), contextlib.suppress(EndpointMissing):
                delete_locked(paths, node, store.load(paths, endpoint.id))


def _make(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, request: Request, build: Build) -> Endpoint:
    wanted = label_words.canonical(request.labels) if request.labels else endpoint.labels
    identities = node.identity_store(paths)
    if wanted != endpoint.labels or not endpoint.identity:
        lifecycle.awaits_identity(paths, endpoint.id, "The endpoint is new" if not endpoint.identity else "New labels")
    identity = identities.allocate(wanted, f"{node.name}/{endpoint.id}")
    lifecycle.has_identity(paths, endpoint.id, identity)
    endpoint = replace(
        endpoint,
        labels=identities.labels(identity) or wanted,
        identity=identity,
        options={**endpoint.options, **request.options},
        named_ports={**endpoint.named_ports, **request.named_ports},
    )
    return regenerate_locked(paths, node, interface.provide(node, endpoint), replace(build, reason="endpoint add"))


def _check(request: Request) -> None:
    if request.netns is None and request.interface is None:
        raise WrongUsage("neither a network namespace nor an interface was given", hint="--netns or --host-ifname")
    if request.netns is None and request.mac is None:
        raise WrongUsage(f"{request.interface}: the MAC address of its other side is needed", hint="--mac, or --netns")
    if request.netns is not None and not NetNamespace.parse(request.netns).exists():
        raise CiliumPyError(f"{request.netns}: no such network namespace")
    for name in (request.interface, request.pod_interface):
        if name is not None:
            checked_name(name)
    if request.name is not None and not _NAME.fullmatch(request.name):
        raise WrongUsage(f"{request.name!r}: not a name for an endpoint")
    if request.id is not None and not 0 < request.id < HOST_ENDPOINT_ID:
        raise WrongUsage(f"{request.id}: not an id for an endpoint", hint=f"1 to {HOST_ENDPOINT_ID - 1}")
    label_words.canonical(request.labels)


def _is_same(endpoint: Endpoint, request: Request) -> bool:
    """Whether the request means this endpoint. Raises CiliumPyError if it means it, but something else in it."""
    if request.netns is not None:
        means = (endpoint.netns, endpoint.pod_interface) == (request.netns, request.pod_interface)
    else:
        means = endpoint.netns is None and endpoint.interface == request.interface
    if not means:
        return False
    for what, wanted, has in (
        ("id", request.id, endpoint.id),
        ("name", request.name, endpoint.name),
        ("IPv4 address", request.ipv4, endpoint.ipv4),
        ("IPv6 address", request.ipv6, endpoint.ipv6),
        ("interface", request.interface, endpoint.interface),
    ):
        if wanted is not None and wanted != has:
            raise CiliumPyError(
                f"endpoint {endpoint.id} is there already, with {what} {has}, not {wanted}",
                hint=f"cilium-py endpoint delete {endpoint.id}",
            )
    return True


def _changes(endpoint: Endpoint, request: Request) -> bool:
    labels = label_words.canonical(request.labels)
    if {**endpoint.named_ports, **request.named_ports} != endpoint.named_ports:
        return True
    return bool(labels and labels != endpoint.labels) or {**endpoint.options, **request.options} != endpoint.options


def _choose(node: NodeConfig, request: Request, known: list[Endpoint]) -> Endpoint:
    """Give the endpoint what nobody else has."""
    number = request.id or store.free_id(other.id for other in known)
    name = request.name or (NetNamespace.parse(request.netns).path.name if request.netns else request.interface)
    digest = sha256(f"{request.netns} {request.pod_interface}".encode()).hexdigest()
    endpoint = Endpoint(
        id=number,
        name=name or str(number),
        interface=request.interface or f"lxc{digest[:12]}",
        pod_interface=request.pod_interface,
        pod_mac=request.mac or bytes(6),
        netns=request.netns,
        owns_interface=interface.is_missing(request.netns, request.pod_interface),
        container_id=request.container_id,
        ipv4=request.ipv4 or _free_ipv4(node.ipv4, known, request),
        ipv6=request.ipv6 or _free_ipv6(node.ipv6, known, request),
    )
    if not endpoint.addresses:
        raise WrongUsage("the endpoint has no address", hint="--ip or --ipv6")
    for other in known:
        for what in ("id", "name", "interface", "ipv4", "ipv6"):
            value = getattr(endpoint, what)
            if value is not None and value == getattr(other, what):
                raise CiliumPyError(f"{what} {value}: endpoint {other.id} has it already")
    for family in node.families:
        if family.router in endpoint.addresses or family.address in endpoint.addresses:
            raise WrongUsage(f"{family.router}: an address of the node itself")
    return endpoint


def _free_ipv4(family: Family4 | None, known: Iterable[Endpoint], request: Request) -> IPv4Address | None:
    """The next address of the node's range, if it hands any out and the caller named none of either family."""
    if family is None or request.ipv6 is not None:
        return None
    taken = {other.ipv4 for other in known} | {family.router, family.address}
    free = next((address for address in family.pods.hosts() if address not in taken), None)
    if free is None:
        raise CiliumPyError(f"{family.pods}: every address is taken")
    return free


def _free_ipv6(family: Family6 | None, known: Iterable[Endpoint], request: Request) -> IPv6Address | None:
    if family is None or request.ipv4 is not None:
        return None
    taken = {other.ipv6 for other in known} | {family.router, family.address}
    return next(address for address in family.pods.hosts() if address not in taken)
