"""Who is behind an address or a number: endpoints, identities, labels, services, backends. Looked up once each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from cilium_py.bpf.directory import Pins
from cilium_py.endpoint import store
from cilium_py.errors import CiliumPyError, LayoutMismatch, MapMissing, Partial
from cilium_py.maps import endpoint, ipcache, lb_backends, lb_revnat, lb_services
from cilium_py.node import runtime
from cilium_py.node.config import FILE, WORLD, WORLD_IPV4, WORLD_IPV6, NodeConfig
from cilium_py.node.identity import RESERVED
from cilium_py.paths import NodePaths
from cilium_py.policy.identities import Identities
from cilium_py.schema import MapDef, Source
from cilium_py.schema.remembered import Remembered
from cilium_py.schema.text import ip, unmapped
from cilium_py.table import Family, OpenTable, open_source

R = TypeVar("R", bound=tuple[Any, ...])
Party: TypeAlias = tuple[int | None, list[str], int | None]
"""Identity, labels, endpoint."""
HELD = 1 << 14
"""Answers about addresses that are remembered."""


class Known:
    """What a node, live or recorded, knows of addresses and numbers. Use it in a with block.

    A map of no known shape is nothing that is known: the end of the block tells of it, with Partial.
    """

    def __init__(self, pins: Path | Pins, paths: NodePaths) -> None:
        self.pins = pins
        self.paths = paths
        self._opened = ExitStack()
        self._unread: dict[str, CiliumPyError] = {}
        self.labels_of = cache(self._labels_of)
        """The labels of an identity, in a list that nobody changes."""
        self.parties: Remembered[tuple[bytes | None, int], Party] = Remembered(self._party, HELD)
        """Of an address, and the identity that it is known by or 0: the identity, its labels, and the endpoint."""
        self.identity = lru_cache(HELD)(self._in_ipcache)
        """What the programs take an address for: that of the longest prefix in the ipcache, or else the world's."""

    def __enter__(self) -> Known:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._opened.close()
        if kind is None and self._unread:
            hint = next(iter(self._unread.values())).hint
            raise Partial("; ".join(self._unread), hint)

    def without(self, error: LayoutMismatch | Partial) -> None:
        """Go on without what could not be read, and tell of it at the end."""
        said = error.message if isinstance(error, Partial) else f"left out: {error.message}"
        self._unread[said] = error

    def open(self, source: Source[R], scope: int | None = None) -> OpenTable[R] | None:
        """Open a map; None where it is not there, or of no known shape."""
        try:
            return open_source(source, self.pins, scope)
        except MapMissing:
            return None
        except LayoutMismatch as error:
            self.without(error)
            return None

    def tables(self, sources: Iterable[Source[R]]) -> Iterator[OpenTable[R]]:
        """Each of some maps that can be opened."""
        for table in filter(None, map(self.open, sources)):
            with table:
                yield table

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
    def endpoint_ids(self) -> Mapping[bytes | None, int]:
        """The local endpoints' ids by address."""
        return {address: row.endpoint_id for address, row in self.endpoints.items()}

    @cached_property
    def frontends(self) -> Mapping[tuple[int, int], tuple[bytes, int]]:
        """Reverse NAT id and size of an address -> the frontend of that service in that address family."""
        return {(row.rev_nat, len(row.address)): (row.address, row.port) for row in self.rows(lb_revnat.MAP)}

    @cached_property
    def backends(self) -> Mapping[int, lb_backends.Row]:
        return {row.backend_id: row for row in self.rows(lb_backends.MAP)}

    @cached_property
    def services(self) -> list[lb_services.Row]:
        """Every slot of every frontend."""
        return list(self.rows(lb_services.MAP))

    def _party(self, asked: tuple[bytes | None, int]) -> Party:
        address, known_by = asked
        identity = known_by or (self.identity(address) if address is not None else None)
        return identity, self.labels_of(identity), self.endpoint_ids.get(address)

    def _labels_of(self, identity: int | None) -> list[str]:
        return list(self.labels.get(identity or 0, ()))

    def name(self, identity: int | None) -> str:
        """Labels, or else the number."""
        if identity is None:
            return "unknown"
        return " ".join(self.labels.get(identity, ())) or str(identity)

    def rows(self, definition: MapDef[R]) -> Iterator[R]:
        """The rows of a family; none where its maps are not there, or of no known shape."""
        try:
            yield from Family(definition, self.pins).rows()
        except MapMissing:
            return
        except (LayoutMismatch, Partial) as error:
            self.without(error)

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
        return row.identity if row is not None else self._world[len(unmapped(address))]

    @cached_property
    def _world(self) -> Mapping[int, int]:
        """Size of an address -> the identity of what the ipcache does not have: one a family where there are both."""
        options = runtime.RuntimeConfig()
        with suppress(CiliumPyError):
            options = runtime.read(self.paths.state_dir) or options
        both = options.ipv4 and options.ipv6
        return {4: WORLD_IPV4 if both else WORLD, 16: WORLD_IPV6 if both else WORLD}

    @cached_property
    def _ipcache(self) -> OpenTable[ipcache.Row] | None:
        table = next(filter(None, map(self.open, ipcache.MAP.sources)), None)
        return self._opened.enter_context(table) if table is not None else None


def _label(label: Mapping[str, str]) -> str:
    name = f"{label['source']}:{label['key']}"
    return f"{name}={label['value']}" if label.get("value") else name


def said(address: bytes, port: int | None = None) -> str:
    """10.0.0.1, 10.0.0.1:80, fd00::1 or [fd00::1]:80; without a port 0."""
    if not port:
        return ip(address)
    return f"{ip(address)}:{port}" if len(address) == 4 else f"[{ip(address)}]:{port}"
