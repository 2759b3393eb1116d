"""A map read key by key: for map types and kernels without batches, and for keys alone."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cilium_py.errors import Partial
from cilium_py.libbpf import library
from cilium_py.libbpf.constants import MapType

if TYPE_CHECKING:
    from cilium_py.bpf.map import BpfMap

INDEXED_TYPES = frozenset(
    {
        MapType.ARRAY,
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.PERCPU_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.DEVMAP,
        MapType.SOCKMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.REUSEPORT_SOCKARRAY,
    }
)
PATIENCE = 4
"""How many times max_entries a walk may step: when its key is deleted it starts again from the front."""


def keys(map: BpfMap) -> Iterator[bytes]:
    """Yield every key once. Raise Partial at the end if the map changed so that some may have been missed."""
    if map.info.type in INDEXED_TYPES:
        return (key for key in _steps(map))
    return _distinct(map)


def entries(map: BpfMap) -> Iterator[tuple[bytes, bytes]]:
    """Yield every entry once, as keys() does. Empty slots of an array of objects are left out."""
    vanished = 0
    for key in keys(map):
        value = map.lookup(key)
        if value is not None:
            yield key, value
        elif map.info.type not in INDEXED_TYPES:
            vanished += 1
    if vanished:
        raise changed(map)


def take(map: BpfMap) -> Iterator[tuple[bytes, bytes]]:
    """Delete every entry and yield it. The first key is taken again and again, so that none can be missed."""
    for _ in range(PATIENCE * map.info.max_entries):
        key = next(_steps(map), None)
        if key is None:
            return
        value = map.lookup(key)
        if map.delete(key) and value is not None:
            yield key, value
    raise changed(map)


def _steps(map: BpfMap) -> Iterator[bytes]:
    """Follow BPF_MAP_GET_NEXT_KEY from the front to the end, wherever it leads."""
    next_key = library().bpf_map_get_next_key
    room = ctypes.create_string_buffer(map.key_size)
    previous = None
    while True:
        try:
            next_key(map.fd, previous, room)
        except FileNotFoundError:
            return
        yield room.raw
        previous = room


def _distinct(map: BpfMap) -> Iterator[bytes]:
    seen: set[bytes] = set()
    limit = PATIENCE * map.info.max_entries + 1
    restarted = False
    for step, key in enumerate(_steps(map)):
        if step == limit:
            raise changed(map)
        if key in seen:
            restarted = True
            continue
        seen.add(key)
        yield key
    # The last pass went from front to end, but an update moves an entry to the front of its bucket, so it may
    # have passed behind the walk.
    if restarted:
        raise changed(map)


def changed(map: BpfMap) -> Partial:
    """What a walk says that cannot promise completeness."""
    return Partial(
        f"map {map.info.name} changed too much while it was read: entries may be missing",
        hint="run it again when the map is quieter",
    )
