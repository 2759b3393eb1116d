"""Who is behind an address or a number: endpoints, identities, labels, services, backends. Looked up once each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cilium_py.bpf.directory import Pins
from cilium_py.endpoint import store
from cilium_py.errors import MapMissing
from cilium_py.maps import endpoint, ipcache, lb_backends, lb_revnat, lb_services
from cilium_py.node.config import FILE, NodeConfig
from cilium_py.node.identity import RESERVED
from cilium_py.node.runtime import Clock
from cilium_py.paths import NodePaths
from cilium_py.policy.identities import Identities
from cilium_py.schema import MapDef
from cilium_py.schema.text import ip, unmapped
from cilium_py.schema.timestamp import NS, rfc3339
from cilium_py.table import Family, OpenTable, open_source

R = TypeVar("R", bound=tuple[Any, ...])
NEVER = 0xFFFFFFFF


class Moment(NamedTuple):
    """The time of the entries that are read: live, the present; of a recording, when it was made."""

    clock: Clock
    now: int | None
    """In seconds of the agent's clock; None if nobody knows."""
    wall: float | None
    """In seconds since 1970."""

    def remaining(self, expires: int) -> int | None:
        return None if self.now is None else self.clock.seconds(expires) - self.now

    def expiry(self, expires: int) -> str | None:
        """RFC 3339; None for what never expires, or where the time is not known."""
        left = self.remaining(expires)
        if left is None or self.wall is None or expires == NEVER:
            return None
        return rfc3339(int(self.wall + left) * NS)


class Known:
    """What a node, live or recorded, knows of addresses and numbers. Close it, or use it in a with block."""

    def __init__(self, pins: Path | Pins, paths: NodePaths) -> None:
        self.pins = pins
        self.paths = paths
        self._opened = ExitStack()
        self._identities: dict[bytes, int | None] = {}

    def __enter__(self) -> Known:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @cached_property
    def node(self) -> NodeConfig | None:
        """The node's configuration, of a node of ours."""
        return NodeConfig.load(self.paths) if (self.paths.state_dir / FILE).exists() else None

    @cached_property
    def endpoints(self) -> Mapping[bytes, endpoint.Row]:
        """The local endpoints by address; the node's own addresses are none."""
        rows = self.rows(endpoint.MAP)
        return {row.address: row for row in rows if row.address is not None and not row.host and not row.cluster_id}

    @cached_property
    def own_addresses(self) -> frozenset[bytes]:
        return frozenset(row.address for row in self.rows(endpoint.MAP) if row.address is not None and row.host)

    @cached_property
    def labels(self) -> Mapping[int, tuple[str, ...]]:
        """Identity -> labels, as far as the state directory has them."""
        reserved = {number: (f"reserved:{name}",) for name, number in RESERVED.items() if number}
        if self.node is not None:
            return reserved | dict(Identities.of(self.paths, self.node).labels)
        return reserved | dict(self._labels_of_endpoints())

    @cached_property
    def frontends(self) -> Mapping[int, list[lb_revnat.Row]]:
        """Reverse NAT id -> the frontends of that service, one for each address family."""
        found: dict[int, list[lb_revnat.Row]] = {}
        for row in self.rows(lb_revnat.MAP):
            found.setdefault(row.rev_nat, []).append(row)
        return found

    @cached_property
    def backends(self) -> Mapping[int, lb_backends.Row]:
        return {row.backend_id: row for row in self.rows(lb_backends.MAP)}

    @cached_property
    def services(self) -> list[lb_services.Row]:
        """Every slot of every frontend."""
        return list(self.rows(lb_services.MAP))

    def frontend(self, rev_nat: int, address: bytes) -> lb_revnat.Row | None:
        """The frontend of a service in the family of an address."""
        return next((row for row in self.frontends.get(rev_nat, ()) if len(row.address) == len(address)), None)

    def identity(self, address: bytes) -> int | None:
        """What the programs take an address for: that of the longest prefix in the ipcache."""
        if address not in self._identities:
            self._identities[address] = self._in_ipcache(address)
        return self._identities[address]

    def name(self, identity: int | None) -> str:
        """Labels, or else the number."""
        if identity is None:
            return "unknown"
        return " ".join(self.labels.get(identity, ())) or str(identity)

    def endpoint_id(self, address: bytes) -> int | None:
        found = self.endpoints.get(address)
        return found.endpoint_id if found is not None else None

    def rows(self, definition: MapDef[R]) -> Iterator[R]:
        """The rows of a family; none where its maps are not there."""
        with suppress(MapMissing):
            yield from Family(definition, self.pins).rows()

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Endpoint -> its pod, namespace/name, or its container."""
        found = {}
        for endpoint_id, document in self._documents():
            pod, namespace = document.get("K8sPodName"), document.get("K8sNamespace")
            name = f"{namespace}/{pod}" if pod and namespace else pod or document.get("ContainerName")
            if isinstance(name, str) and name:
                found[endpoint_id] = name
        return found

    def _labels_of_endpoints(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        for _, document in self._documents():
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                label = document["SecLabel"]
                yield int(label["id"]), tuple(sorted(map(_label, label["labels"].values())))

    def _documents(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """What an agent, ours or another, of whatever release, wrote of its endpoints."""
        for endpoint_id in store.ids(self.paths):
            with suppress(OSError, ValueError):
                document = json.loads((self.paths.endpoint(endpoint_id) / store.DOCUMENT).read_bytes())
                if isinstance(document, dict):
                    yield endpoint_id, document

    def _in_ipcache(self, address: bytes) -> int | None:
        table = self._ipcache
        if table is None:
            return None
        key = table.layout.key(**ipcache.key_fields((unmapped(address), 8 * len(unmapped(address)))))
        row = table.get(key)
        return row.identity if row is not None else None

    @cached_property
    def _ipcache(self) -> OpenTable[ipcache.Row] | None:
        for source in ipcache.MAP.sources:
            with suppress(MapMissing):
                return self._opened.enter_context(open_source(source, self.pins))
        return None


def _label(label: Mapping[str, str]) -> str:
    name = f"{label['source']}:{label['key']}"
    return f"{name}={label['value']}" if label.get("value") else name


def said(address: bytes, port: int | None = None) -> str:
    """10.0.0.1, 10.0.0.1:80, fd00::1 or [fd00::1]:80; without a port 0."""
    text = ip(address)
    if not port:
        return text
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"
