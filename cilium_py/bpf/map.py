"""A BPF map: its shape, its entries one by one and in batches."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from cilium_py.bpf import batch, walk
from cilium_py.bpf.batch import Batch, Octets
from cilium_py.bpf.handle import Handle, ids, info_of
from cilium_py.bpf.pins import pinned
from cilium_py.errors import WrongSize
from cilium_py.libbpf import library
from cilium_py.libbpf.constants import BPF_ANY, BPF_F_RDONLY, MapType
from cilium_py.libbpf.library import possible_cpus
from cilium_py.libbpf.structs import bpf_btf_info, bpf_get_fd_by_id_opts, bpf_map_create_opts, bpf_map_info

PER_CPU_TYPES = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    }
)
_FD = struct.Struct("=I")


class MapInfo(NamedTuple):
    """What the kernel says of a map. The BTF ids are 0 where the map was made without BTF."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str
    btf_id: int
    btf_key_type_id: int
    btf_value_type_id: int

    @property
    def type_name(self) -> str:
        try:
            return MapType(self.type).name.lower()
        except ValueError:
            return f"type {self.type}"


def map_info(fd: int) -> MapInfo:
    info = info_of(fd, bpf_map_info)
    return MapInfo(
        type=info.type,
        id=info.id,
        key_size=info.key_size,
        value_size=info.value_size,
        max_entries=info.max_entries,
        flags=info.map_flags,
        name=info.name.decode(errors="replace"),
        btf_id=info.btf_id,
        btf_key_type_id=info.btf_key_type_id,
        btf_value_type_id=info.btf_value_type_id,
    )


class BpfMap(Handle):
    """An open map.

    Keys and values are the kernel's bytes. A per-CPU value is one slot a possible CPU, each padded to eight
    bytes, `value_room` bytes in all; `lookup_percpu` and `split` take it apart.
    """

    release: str | None = None
    """The release whose layout it is known to have, where something else than its BTF says so."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._take_shape(map_info(fd))

    def _take_shape(self, info: MapInfo, cpus: int | None = None) -> None:
        self.info = info
        self.key_size = info.key_size
        self.per_cpu = info.type in PER_CPU_TYPES
        self.slot_room = (info.value_size + 7) & ~7 if self.per_cpu else info.value_size
        self.value_room = self.slot_room * ((cpus or possible_cpus()) if self.per_cpu else 1)
        self._value_buffer = ctypes.c_char * self.value_room

    @classmethod
    def open(cls, path: Path, read_only: bool = True) -> Self:
        """Open a pinned map."""
        return cls(pinned(path, "map", BPF_F_RDONLY if read_only else 0))

    @classmethod
    def from_id(cls, map_id: int, read_only: bool = True) -> Self:
        options = bpf_get_fd_by_id_opts(open_flags=BPF_F_RDONLY if read_only else 0)
        return cls(library().bpf_map_get_fd_by_id_opts(map_id, options))

    @classmethod
    def create(
        cls,
        *,
        name: str,
        type: MapType,
        key_size: int,
        value_size: int,
        max_entries: int,
        flags: int = 0,
        inner: BpfMap | None = None,
    ) -> Self:
        """Make a map, pinned nowhere; 15 bytes of its name are kept. A map of maps needs a model `inner`."""
        options = bpf_map_create_opts(map_flags=flags, inner_map_fd=inner.fd if inner else 0)
        kept = name.encode()[:15]
        return cls(library().bpf_map_create(type, kept, key_size, value_size, max_entries, options))

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd {self._fd}"
        return f"<BpfMap {self.info.name!r} {self.info.type_name} id {self.info.id}, {state}>"

    def lookup(self, key: Octets, flags: int = 0) -> bytes | None:
        """Read the value of a key, `value_room` bytes; None if there is no such key."""
        value = self._value_buffer()
        try:
            library().bpf_map_lookup_elem_flags(self.fd, self._key(key), value, flags)
        except FileNotFoundError:
            return None
        return value.raw

    def lookup_percpu(self, key: Octets) -> list[bytes] | None:
        value = self.lookup(key)
        return None if value is None else self.split(value)

    def split(self, value: Octets) -> list[bytes]:
        """Take a value as read apart into one value a possible CPU, without the padding."""
        size = self.info.value_size
        return [bytes(value[start : start + size]) for start in range(0, len(value), self.slot_room or 1)]

    def update(self, key: Octets, value: Octets, flags: int = BPF_ANY) -> None:
        if len(value) != self.value_room:
            raise WrongSize(f"{self.info.name}: value of {len(value)} bytes, the map takes {self.value_room}")
        library().bpf_map_update_elem(self.fd, self._key(key), bytes(value), flags)

    def update_percpu(self, key: Octets, values: Sequence[bytes]) -> None:
        """Write one value a possible CPU."""
        self.update(key, b"".join(value.ljust(self.slot_room, b"\0") for value in values))

    def update_fd(self, key: Octets, handle: Handle) -> None:
        """Store another map, or a program, in a map of maps or a program array."""
        self.update(key, _FD.pack(handle.fd))

    def delete(self, key: Octets) -> bool:
        """Remove a key; False if there was none."""
        try:
            library().bpf_map_delete_elem(self.fd, self._key(key))
        except FileNotFoundError:
            return False
        return True

    def inner(self, key: Octets, read_only: bool = True) -> BpfMap | None:
        """Open the map that a map of maps holds under a key; None if there is none, or it went meanwhile."""
        value = self.lookup(key)
        if value is None:
            return None
        try:
            return BpfMap.from_id(_FD.unpack(value)[0], read_only)
        except FileNotFoundError:
            return None

    def held(self, map_id: int) -> BpfMap:
        """Open the map that a map of maps has under some key, by its id. FileNotFoundError if it went meanwhile."""
        return BpfMap.from_id(map_id)

    def read_btf(self) -> bytes | None:
        """The BTF that the map was made with; None if it was made without."""
        return btf_of(self.info.btf_id) if self.info.btf_id else None

    def batches(self, room: int = batch.ROOM) -> Iterator[Batch]:
        """Read the whole map, about `room` entries at a time, into one buffer.

        A batch is valid until the next one is asked for. An entry that is there throughout comes exactly
        once; where the kernel cannot promise that, and the map changed meanwhile, the walk ends with Partial.
        """
        return batch.lookup(self, room)

    def take_batches(self, room: int = batch.ROOM) -> Iterator[Batch]:
        """Like batches, and delete what is read. Entries added meanwhile may survive."""
        return batch.take(self, room)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Read the whole map, entry by entry. See batches."""
        for some in self.batches():
            yield from some.pairs()

    def keys(self) -> Iterator[bytes]:
        """Read every key, without its value. See batches about a map that changes meanwhile."""
        return walk.keys(self)

    def update_batch(self, keys: Octets, values: Octets, flags: int = BPF_ANY) -> int:
        """Write many entries, keys and values each end to end; return how many."""
        return batch.update(self, keys, values, flags)

    def delete_batch(self, keys: Octets) -> int:
        """Remove many keys, given end to end; return how many there were."""
        return batch.delete(self, keys)

    def freeze(self) -> None:
        """Refuse every later change from user space. Programs may still write."""
        library().bpf_map_freeze(self.fd)

    def _key(self, key: Octets) -> bytes | None:
        if len(key) != self.key_size:
            raise WrongSize(f"{self.info.name}: key of {len(key)} bytes, the map takes {self.key_size}")
        return bytes(key) or None


def btf_of(btf_id: int) -> bytes:
    """A set of types as the kernel keeps it."""
    with Handle(library().bpf_btf_get_fd_by_id(btf_id)) as opened:
        room = ctypes.create_string_buffer(info_of(opened.fd, bpf_btf_info).btf_size)
        info = bpf_btf_info(btf=ctypes.addressof(room), btf_size=len(room))
        length = ctypes.c_uint32(ctypes.sizeof(info))
        library().bpf_obj_get_info_by_fd(opened.fd, ctypes.byref(info), ctypes.byref(length))
        return room.raw


def map_ids() -> Iterator[int]:
    """Every map in the kernel, by id. Needs CAP_SYS_ADMIN."""
    return ids(library().bpf_map_get_next_id)
