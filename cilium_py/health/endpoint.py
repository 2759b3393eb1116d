"""The health endpoint: an endpoint with a namespace of its own in which a responder answers, one a node."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import NamedTuple

from cilium_py.endpoint import store
from cilium_py.endpoint.model import Endpoint
from cilium_py.endpoint.status import state_of
from cilium_py.errors import CiliumPyError, EndpointMissing
from cilium_py.loader import state
from cilium_py.net.namespace import DIRECTORY, NetNamespace
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import pidfile
from .hello import PORT

NAME, LABEL = "cilium-health", "reserved:health"
HOST_INTERFACE, INTERFACE = "lxc_health", "cilium"
LAUNCH_SECONDS = 60.0


@dataclass(frozen=True)
class Record:
    """What the health endpoint is, written down before it is made, so that it can be removed or made again."""

    netns: str
    id: int | None = None
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    port: int = PORT

    @property
    def namespace(self) -> NetNamespace:
        return NetNamespace.named(self.netns)

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)

    def save(self, paths: NodePaths) -> None:
        state.write_json(
            _record_path(paths),
            {
                "netns": self.netns,
                "id": self.id,
                "ipv4": str(self.ipv4 or ""),
                "ipv6": str(self.ipv6 or ""),
                "port": self.port,
            },
        )


class HealthEndpoint(NamedTuple):
    """The health endpoint as it is now; `responder` is a process id, or None."""

    endpoint: int | None
    ipv4: str
    ipv6: str
    netns: str
    interface: str
    state: str
    responder: int | None


def recorded(paths: NodePaths) -> Record | None:
    """The health endpoint of the node, made or begun."""
    path = _record_path(paths)
    try:
        document = json.loads(path.read_text())
        return Record(
            document["netns"],
            document["id"],
            IPv4Address(document["ipv4"]) if document["ipv4"] else None,
            IPv6Address(document["ipv6"]) if document["ipv6"] else None,
            document["port"],
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CiliumPyError(f"{path}: not a health endpoint: {error}") from error


def required(paths: NodePaths) -> Record:
    found = recorded(paths)
    if found is None:
        raise EndpointMissing("the node has no health endpoint", hint="cilium-py health endpoint add")
    return found


def add(
    paths: NodePaths, ipv4: IPv4Address | None = None, ipv6: IPv6Address | None = None, port: int = PORT
) -> Endpoint:
    """Make the health endpoint, or complete what there is of it, and start its responder."""
    config = NodeConfig.load(paths)
    with state.locked(_lock(paths)):
        record = recorded(paths) or Record(_namespace_name(config), ipv4=ipv4, ipv6=ipv6, port=port)
        for wanted, has in ((ipv4, record.ipv4), (ipv6, record.ipv6)):
            if wanted is not None and wanted != has:
                raise CiliumPyError(
                    f"the health endpoint has the address {has}, not {wanted}", hint="cilium-py health endpoint delete"
                )
        record.save(paths)
        return _make(paths, config, record)


def relaunch(paths: NodePaths) -> Endpoint:
    """Remove the health endpoint and make it anew, with the same addresses."""
    config = NodeConfig.load(paths)
    with state.locked(_lock(paths)):
        record = required(paths)
        _remove(paths, record)
        return _make(paths, config, record)


def delete(paths: NodePaths) -> Record:
    """End the responder and remove everything of the health endpoint; return what it was."""
    config = NodeConfig.load(paths)
    with state.locked(_lock(paths)):
        record = required(paths)
        roster, own = config.roster(paths), config.introduction().full_name
        if roster.find(own) is not None:
            roster.change(own, health_ipv4=None, health_ipv6=None)
        _remove(paths, record)
        _record_path(paths).unlink(missing_ok=True)
    return record


def status(paths: NodePaths) -> HealthEndpoint:
    record = required(paths)
    try:
        endpoint = store.load(paths, record.id) if record.id is not None else None
    except EndpointMissing:
        endpoint = None
    return HealthEndpoint(
        record.id,
        str(record.ipv4 or ""),
        str(record.ipv6 or ""),
        record.netns,
        HOST_INTERFACE,
        state_of(paths, NodeConfig.load(paths), endpoint) if endpoint is not None else "missing",
        pidfile.owner(pid_path(paths)),
    )


def pid_path(paths: NodePaths) -> Path:
    """Cilium's name for it."""
    return paths.state_dir / "health-endpoint.pid"


def own_command(paths: NodePaths, *words: str) -> Sequence[str]:
    """The command line that runs this program for the node."""
    where = ("--bpf-root", str(paths.bpf_root), "--state-dir", str(paths.state_dir))
    return (sys.executable, "-m", "cilium_py", *where, *words)


def _make(paths: NodePaths, config: NodeConfig, record: Record) -> Endpoint:
    from cilium_py.endpoint.add import Request
    from cilium_py.endpoint.add import add as add_endpoint

    namespace = record.namespace
    if not namespace.exists():
        # A bare file may be left from before a reboot.
        namespace.delete()
        namespace.create()
    endpoint = add_endpoint(
        paths,
        Request(
            name=NAME,
            netns=namespace.name,
            pod_interface=INTERFACE,
            interface=HOST_INTERFACE,
            ipv4=record.ipv4,
            ipv6=record.ipv6,
            labels=(LABEL,),
            id=record.id,
        ),
    )
    Record(record.netns, endpoint.id, endpoint.ipv4, endpoint.ipv6, record.port).save(paths)
    _start_responder(paths, record.port)
    roster, own = config.roster(paths), config.introduction()
    if roster.find(own.full_name) is None:
        roster.put(own)
    roster.change(own.full_name, health_ipv4=endpoint.ipv4, health_ipv6=endpoint.ipv6)
    return endpoint


def _remove(paths: NodePaths, record: Record) -> None:
    """Remove all but the record. The order of the first two matters to a responder that is just starting."""
    from cilium_py.endpoint.delete import delete as delete_endpoint

    record.namespace.delete()
    pidfile.end(pid_path(paths))
    for endpoint in store.all(paths):
        if endpoint.netns == record.netns and endpoint.pod_interface == INTERFACE:
            delete_endpoint(paths, endpoint.id)


def _start_responder(paths: NodePaths, port: int) -> None:
    """Start the responder, which goes on without us, and wait until it answers."""
    if pidfile.owner(pid_path(paths)) is not None:
        return
    command = own_command(paths, "health", "serve", "--endpoint", "--detach", "--port", str(port))
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LAUNCH_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise CiliumPyError(f"the responder did not start within {LAUNCH_SECONDS:g} s") from error
    if done.returncode != 0 and pidfile.owner(pid_path(paths)) is None:
        raise CiliumPyError(f"the responder did not start: {done.stderr.strip().removeprefix('error: ')}")


def _namespace_name(config: NodeConfig) -> str:
    """A name that no other node of the machine takes."""
    own = config.namespace
    if own is None:
        return NAME
    return f"{own.path.name}-health" if own.path.parent == DIRECTORY else f"{NAME}-{config.name}"


def _record_path(paths: NodePaths) -> Path:
    return paths.state_dir / "health-endpoint.json"


def _lock(paths: NodePaths) -> Path:
    return paths.state_dir / "locks" / "health-endpoint"
