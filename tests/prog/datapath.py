"""The endpoint programs of a few endpoints in the kernel, and one packet at a time through them.

Every endpoint has its own object, as on a node; what a node shares between them by pinning they share here by file
descriptor, so nothing is pinned anywhere. Runs are on CPU 0.
"""

from __future__ import annotations

import functools
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.program import Program
from cilium_py.bpf.ring import PerfBuffer

CHECKOUT = Path(__file__).resolve().parents[2]
PRIVATE = frozenset({"cilium_policy_v2", "cilium_calls", "cilium_tail_call_buffer4", "cilium_tail_call_buffer6"})
"""The maps that every endpoint has for itself."""

CAPACITY = 4096
"""Room in the large maps: the kernel reserves it at once, and clearing a map walks all of it."""

ENTRIES = {"from_container": "cil_from_container", "to_container": "cil_to_container", "policy": "cil_lxc_policy"}

_SKB = struct.Struct("<2I I I 5I I I I 5I")
_RECORD = struct.Struct("<IIQI16s4x")
_HELPERS = {1: "redirect", 2: "redirect_peer", 3: "redirect_neigh"}
_EVENT_HEADS = {1: 40, 2: 20, 3: 24, 4: 48, 5: 32}

Options = Mapping[str, int | bytes]


class Endpoint(NamedTuple):
    """An endpoint: what its object is configured with, and what the node's maps say of it."""

    id: int
    ipv4: bytes
    ipv6: bytes
    identity: int
    ifindex: int
    lxc_mac: bytes
    pod_mac: bytes

    @property
    def options(self) -> Options:
        return {
            "endpoint_id": self.id,
            "endpoint_ipv4": self.ipv4,
            "endpoint_ipv6": self.ipv6,
            "security_label": self.identity,
            "interface_ifindex": self.ifindex,
            "interface_mac": self.lxc_mac + b"\0\0",
        }


@dataclass(frozen=True)
class Redirect:
    """The last redirect helper that was called, with its arguments."""

    helper: str
    ifindex: int
    flags: int = 0
    family: int = 0
    next_hop: bytes = b""


@dataclass(frozen=True)
class Outcome:
    """What became of a packet. Events are cut to their header and the captured bytes."""

    verdict: int
    packet: bytes
    mark: int = 0
    cb: tuple[int, ...] = (0, 0, 0, 0, 0)
    redirect: Redirect | None = None
    events: tuple[bytes, ...] = field(default=())

    @property
    def drop_reason(self) -> int | None:
        """The reason in the drop notification; there is never more than one."""
        reasons = [event[1] for event in self.events if event[0] == 1]
        assert len(reasons) <= 1
        return reasons[0] if reasons else None


@functools.cache
def recorded_object() -> Path:
    """Build the object whose redirects are recorded, if its sources are newer."""
    built = CHECKOUT / "bpf_src/build/bpf_lxc_recorded.o"
    subprocess.run(["make", "-s", "-C", built.parents[1], "build/bpf_lxc_recorded.o"], check=True)
    return built


class Datapath:
    """The programs of some endpoints of one node, loaded."""

    def __init__(self, endpoints: Iterable[Endpoint], options: Options, path: Path | None = None) -> None:
        self._objects: dict[int, BpfObject] = {}
        self._shared: dict[str, BpfMap] = {}
        self._events: list[bytes] = []
        self._touched: set[str] = set()
        os.sched_setaffinity(0, {0})
        for endpoint in endpoints:
            self._objects[endpoint.id] = self._load(path or recorded_object(), {**options, **endpoint.options})
            self.map("cilium_call_policy").update_fd(
                endpoint.id.to_bytes(4, "little"), self.program(endpoint.id, "policy")
            )
        self._reader = PerfBuffer(self.map("cilium_events"), self._receive)

    def _load(self, path: Path, options: Options) -> BpfObject:
        loaded = BpfObject.open(path)
        for name, value in options.items():
            loaded.rodata[name] = value
        for name, found in loaded.maps.items():
            found.pin_path = None
            if name in self._shared:
                found.reuse(self._shared[name])
            elif not found.internal:
                found.max_entries = min(found.max_entries, CAPACITY)
        loaded.load()
        for name, found in loaded.maps.items():
            if name not in PRIVATE and not found.internal:
                self._shared.setdefault(name, found)
        return loaded

    def _receive(self, _: int, record: bytes) -> None:
        head = _EVENT_HEADS[record[0]]
        captured = 0 if record[0] == 2 else int.from_bytes(record[12:14], "little")
        self._events.append(record[: head + captured])

    def program(self, endpoint: int, entry: str) -> Program:
        return self._objects[endpoint].programs[ENTRIES[entry]]

    def programs(self, endpoint: int) -> Mapping[str, Program]:
        return self._objects[endpoint].programs

    def calls(self, endpoint: int) -> BpfMap:
        """The endpoint's programs by slot of tail call."""
        return self._objects[endpoint].maps["cilium_calls"]

    def map(self, name: str) -> BpfMap:
        """A shared map by name, or an endpoint's policy map by the name of its pin."""
        prefix, _, number = name.rpartition("_")
        if prefix == "cilium_policy_v2":
            return self._objects[int(number)].maps["cilium_policy_v2"]
        return self._shared[name]

    def run(
        self,
        endpoint: int,
        entry: str,
        packet: bytes,
        *,
        ifindex: int,
        ingress_ifindex: int = 0,
        mark: int = 0,
        cb: tuple[int, ...] = (0, 0, 0, 0, 0),
    ) -> Outcome:
        """Run one packet. OSError if the kernel refuses so short a frame."""
        recorded = self.map("recorded")
        recorded.update(bytes(4), bytes(_RECORD.size))
        context = _SKB.pack(0, 0, mark, 0, 0, 0, 0, 0, 0, ingress_ifindex, ifindex, 0, *cb)
        self._events.clear()
        result = self.program(endpoint, entry).test_run(packet, context)
        self._reader.consume()
        after = _SKB.unpack(result.ctx[: _SKB.size])
        return Outcome(
            verdict=result.retval,
            packet=result.data,
            mark=after[2],
            cb=after[12:17],
            events=tuple(self._events),
            redirect=_redirect(recorded.lookup(bytes(4)) or b""),
        )

    def clear(self, *names: str) -> None:
        """Empty maps."""
        for name in names:
            found = self.map(name)
            for key in list(found.keys()):
                found.delete(key)

    def close(self) -> None:
        self._reader.close()
        for found in self._objects.values():
            found.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _redirect(record: bytes) -> Redirect | None:
    helper, ifindex, flags, family, next_hop = _RECORD.unpack(record)
    if not helper:
        return None
    name = _HELPERS[helper]
    return Redirect(name, ifindex, flags, family, next_hop if name == "redirect_neigh" else b"")


@contextmanager
def map_changes(found: BpfMap, changes: Iterable[tuple[bytes, bytes | None]]) -> Iterator[None]:
    """Change entries (None deletes) for the time of the block."""
    before = []
    for key, value in changes:
        before.append((key, found.lookup(key)))
        put(found, key, value)
    try:
        yield
    finally:
        for key, value in reversed(before):
            put(found, key, value)


def put(found: BpfMap, key: bytes, value: bytes | None) -> None:
    """Write an entry, or remove it."""
    if value is None:
        found.delete(key)
    else:
        found.update(key, value)
