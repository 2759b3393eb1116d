"""Many entries in one system call: BPF_MAP_LOOKUP_BATCH and its sisters, in Linux since 5.6."""

from __future__ import annotations

import ctypes
import errno
import itertools
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cilium_py.bpf import trie, walk
from cilium_py.errors import WrongSize
from cilium_py.libbpf import ENOTSUPP, library
from cilium_py.libbpf.checkers import failure
from cilium_py.libbpf.constants import MapType
from cilium_py.libbpf.structs import bpf_map_batch_opts

if TYPE_CHECKING:
    from cilium_py.bpf.map import BpfMap

Octets = bytes | bytearray | memoryview

ROOM = 4096
"""Entries a batch: larger ones were measured to gain nothing."""

BUFFER_LIMIT = 4 << 20
"""Bytes of values a batch, unless a single bucket holds more."""

# EINVAL: before Linux 5.6, no such command. ENOTSUPP: this map type has no batches.
_NOT_HERE = frozenset({errno.EINVAL, ENOTSUPP, errno.EOPNOTSUPP})


class Batch:
    """Some entries, keys end to end and values end to end, in a buffer that the next batch overwrites."""

    __slots__ = ("count", "keys", "values")

    def __init__(self, keys: memoryview, values: memoryview, count: int) -> None:
        self.keys = keys
        self.values = values
        self.count = count

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Copy the entries out one by one."""
        if not self.count:
            return
        keys = struct.iter_unpack(f"{len(self.keys) // self.count}s", self.keys)
        values = struct.iter_unpack(f"{len(self.values) // self.count}s", self.values)
        for (key,), (value,) in zip(keys, values, strict=True):
            yield key, value

    def copy(self) -> Batch:
        """One that lasts."""
        return Batch(memoryview(bytes(self.keys)), memoryview(bytes(self.values)), self.count)

    def chosen(self, indexes: list[int]) -> Batch:
        """A copy of some of the entries."""
        pairs = list(self.pairs())
        keys = b"".join(pairs[index][0] for index in indexes)
        values = b"".join(pairs[index][1] for index in indexes)
        return Batch(memoryview(keys), memoryview(values), len(indexes))


class _Buffers:
    """Room for one batch of a map, grown when a bucket of a hash map needs more."""

    def __init__(self, map: BpfMap, room: int) -> None:
        self._map = map
        self._most = 2 * max(room, map.info.max_entries)
        wanted = min(room, max(map.info.max_entries, 1))
        self._allocate(max(1, min(wanted, BUFFER_LIMIT // max(map.value_room, 1))))

    def _allocate(self, room: int) -> None:
        self.room = room
        self._keys = bytearray(room * self._map.key_size)
        self._values = bytearray(room * self._map.value_room)
        self.keys = (ctypes.c_char * len(self._keys)).from_buffer(self._keys)
        self.values = (ctypes.c_char * len(self._values)).from_buffer(self._values)

    def grow(self) -> None:
        if self.room > self._most:
            raise failure(errno.ENOSPC, f"read a bucket of map {self._map.info.name}")
        self._allocate(2 * self.room)

    def batch(self, count: int) -> Batch:
        return Batch(
            memoryview(self._keys)[: count * self._map.key_size],
            memoryview(self._values)[: count * self._map.value_room],
            count,
        )

    def fill(self, entries: Iterator[tuple[bytes, bytes]]) -> Batch:
        """Copy as many entries as there is room for."""
        some = list(itertools.islice(entries, self.room))
        keys, values = (b"".join(column) for column in zip(*some, strict=True)) if some else (b"", b"")
        self._keys[: len(keys)] = keys
        self._values[: len(values)] = values
        return self.batch(len(some))


def lookup(map: BpfMap, room: int) -> Iterator[Batch]:
    """Read a map. See BpfMap.batches."""
    batches = _read(map, room, "bpf_map_lookup_batch", walk.entries)
    return _without_repetitions(map, batches) if map.info.type == MapType.LPM_TRIE else batches


def take(map: BpfMap, room: int) -> Iterator[Batch]:
    """Read and delete. See BpfMap.take_batches."""
    if map.info.type == MapType.LPM_TRIE:  # has every other batch command
        return _take_from_front(map, room)
    return _read(map, room, "bpf_map_lookup_and_delete_batch", walk.take)


def _read(
    map: BpfMap, room: int, command: str, one_by_one: Callable[[BpfMap], Iterator[tuple[bytes, bytes]]]
) -> Iterator[Batch]:
    function = getattr(library(), command)
    buffers = _Buffers(map, room)
    options = bpf_map_batch_opts()
    # A hash map's cursor is a bucket number, any other map's a key.
    cursor = ctypes.create_string_buffer(max(map.key_size, 8))
    start = None
    while True:
        count = ctypes.c_uint32(buffers.room)
        code = -function(
            map.fd, start, cursor, buffers.keys, buffers.values, ctypes.byref(count), ctypes.byref(options)
        )
        if code == errno.ENOSPC:
            # A bucket larger than the room: nothing was read, the cursor stands before it.
            buffers.grow()
            continue
        if code in _NOT_HERE and start is None:
            entries = one_by_one(map)
            while (some := buffers.fill(entries)).count:
                yield some
            return
        # EINTR: up to Linux 6.13 a key that vanished three times in a row ended a batch early.
        if code not in (0, errno.ENOENT, errno.EINTR):
            raise failure(code, f"{command} of map {map.info.name}")
        if count.value:
            yield buffers.batch(count.value)
        if code == errno.ENOENT:
            return
        if code == 0 or count.value:
            start = cursor


def _without_repetitions(map: BpfMap, batches: Iterator[Batch]) -> Iterator[Batch]:
    progress = trie.Progress(map.key_size)
    left = walk.PATIENCE * map.info.max_entries + ROOM
    for some in batches:
        left -= some.count
        if left < 0:
            raise walk.changed(map)
        fresh = progress.advance(some.keys)
        if fresh is None:
            yield some
        elif fresh:
            yield some.chosen(fresh)


def _take_from_front(map: BpfMap, room: int) -> Iterator[Batch]:
    """Read a batch, delete it, begin again, until nothing is left."""
    left = walk.PATIENCE * map.info.max_entries + ROOM
    while (some := next(_read(map, room, "bpf_map_lookup_batch", walk.entries), None)) is not None:
        left -= some.count
        if left < 0:
            raise walk.changed(map)
        delete(map, some.keys)
        yield some


def update(map: BpfMap, keys: Octets, values: Octets, flags: int) -> int:
    total = _count(map, keys)
    if len(values) != total * map.value_room:
        raise WrongSize(f"{map.info.name}: {len(values)} bytes of values for {total} keys")
    if not total:
        return 0
    count = ctypes.c_uint32(total)
    code = -library().bpf_map_update_batch(
        map.fd, bytes(keys), bytes(values), ctypes.byref(count), bpf_map_batch_opts(elem_flags=flags)
    )
    if code in _NOT_HERE:
        whole = Batch(memoryview(keys), memoryview(values), total)
        for key, value in whole.pairs():
            map.update(key, value, flags)
    elif code:
        raise failure(code, f"bpf_map_update_batch of map {map.info.name} after {count.value} of {total} entries")
    return total


def delete(map: BpfMap, keys: Octets) -> int:
    total = _count(map, keys)
    octets = bytes(keys)
    options = bpf_map_batch_opts()
    done = deleted = 0
    while done < total:
        count = ctypes.c_uint32(total - done)
        code = -library().bpf_map_delete_batch(
            map.fd, octets[done * map.key_size :], ctypes.byref(count), ctypes.byref(options)
        )
        if code in _NOT_HERE:
            rest = range(done * map.key_size, len(octets), map.key_size)
            return deleted + sum(map.delete(octets[at : at + map.key_size]) for at in rest)
        if code not in (0, errno.ENOENT):
            raise failure(code, f"bpf_map_delete_batch of map {map.info.name} after {deleted} of {total} keys")
        deleted += count.value
        # The kernel stops at a key that is not there.
        done += count.value + (code == errno.ENOENT)
    return deleted


def _count(map: BpfMap, keys: Octets) -> int:
    count, rest = divmod(len(keys), map.key_size)
    if rest:
        raise WrongSize(f"{map.info.name}: {len(keys)} bytes are no whole number of {map.key_size}-byte keys")
    return count
