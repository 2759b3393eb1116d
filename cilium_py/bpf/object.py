"""An object file: configured, its maps sized, shared and pinned, its programs loaded."""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cilium_py.bpf.btf import Btf
from cilium_py.bpf.map import BpfMap, MapInfo, map_info
from cilium_py.bpf.program import Program
from cilium_py.bpf.rodata import PREFIX, Rodata
from cilium_py.libbpf import VerifierError, library
from cilium_py.libbpf.checkers import failure
from cilium_py.libbpf.messages import silence, warnings
from cilium_py.libbpf.structs import bpf_object_open_opts

LOG_ROOM = 16 << 20
"""The largest verifier log that every kernel accepts. Pages of it that stay unused cost nothing."""

STATISTICS_ROOM = 4096
BPF_LOG_STATS = 4

_PROGRAM_FAILED = re.compile(r"prog '([^']+)': BPF program load failed")


class ObjectMap(BpfMap):
    """A map of an object: before load its attributes can be set, from then on it is an open map."""

    def __init__(self, pointer: int) -> None:
        self._fd = -1
        self._pointer = pointer
        self.name: str = library().bpf_map__name(pointer).decode()
        self._take_shape(self._planned())

    def _planned(self) -> MapInfo:
        known, pointer = library(), self._pointer
        return MapInfo(
            type=known.bpf_map__type(pointer),
            id=0,
            key_size=known.bpf_map__key_size(pointer),
            value_size=known.bpf_map__value_size(pointer),
            max_entries=known.bpf_map__max_entries(pointer),
            flags=known.bpf_map__map_flags(pointer),
            name=self.name,
            btf_id=0,
            btf_key_type_id=0,
            btf_value_type_id=0,
        )

    @property
    def internal(self) -> bool:
        """Whether it stands for a section: .rodata, .data, .bss."""
        return bool(library().bpf_map__is_internal(self._pointer))

    @property
    def max_entries(self) -> int:
        return self.info.max_entries

    @max_entries.setter
    def max_entries(self, count: int) -> None:
        library().bpf_map__set_max_entries(self._pointer, count)
        self._take_shape(self._planned())

    @property
    def flags(self) -> int:
        return self.info.flags

    @flags.setter
    def flags(self, flags: int) -> None:
        library().bpf_map__set_map_flags(self._pointer, flags)
        self._take_shape(self._planned())

    @property
    def pin_path(self) -> Path | None:
        """Where load looks for the map, to use it if it has the same shape, and else pins it."""
        path = library().bpf_map__pin_path(self._pointer)
        return Path(os.fsdecode(path)) if path else None

    @pin_path.setter
    def pin_path(self, path: Path | None) -> None:
        library().bpf_map__set_pin_path(self._pointer, path)

    def reuse(self, other: BpfMap) -> None:
        """Use an open map instead of making one."""
        library().bpf_map__reuse_fd(self._pointer, other.fd)

    def leave_out(self) -> None:
        """Do not make the map; programs that use it must not be loaded either."""
        library().bpf_map__set_autocreate(self._pointer, False)

    def _open_loaded(self) -> None:
        if not library().bpf_map__autocreate(self._pointer):
            return
        self._fd = os.dup(library().bpf_map__fd(self._pointer))
        self._take_shape(map_info(self._fd))


class ObjectProgram(Program):
    """A program of an object: before load it can be left out, from then on it is a program in the kernel."""

    def __init__(self, pointer: int) -> None:
        super().__init__(-1)
        self._pointer = pointer
        self._statistics: ctypes.Array[ctypes.c_char] | None = None
        self.name: str = library().bpf_program__name(pointer).decode()
        self.section: str = library().bpf_program__section_name(pointer).decode()

    @property
    def autoload(self) -> bool:
        return bool(library().bpf_program__autoload(self._pointer))

    @autoload.setter
    def autoload(self, wanted: bool) -> None:
        library().bpf_program__set_autoload(self._pointer, wanted)

    @property
    def instructions(self) -> int:
        """How many it has before the verifier removes any."""
        return int(library().bpf_program__insn_cnt(self._pointer))

    def keep_statistics(self) -> None:
        """Have the verifier say, at load, what it took: `statistics` is its text from then on."""
        self._statistics = ctypes.create_string_buffer(STATISTICS_ROOM)
        library().bpf_program__set_log_buf(self._pointer, self._statistics, STATISTICS_ROOM)
        library().bpf_program__set_log_level(self._pointer, BPF_LOG_STATS)

    @property
    def statistics(self) -> str:
        """Lines such as `verification time 310 usec`; empty without `keep_statistics`."""
        return self._statistics.value.decode() if self._statistics else ""

    def _open_loaded(self) -> None:
        if self.autoload:
            self._fd = os.dup(library().bpf_program__fd(self._pointer))


class BpfObject:
    """An object file between opening and closing. Closing it closes its maps and programs; pins and links stay."""

    def __init__(self, pointer: int, path: Path, log: mmap.mmap) -> None:
        self._pointer: int | None = pointer
        self._log = log
        self.path = path
        self.maps: Mapping[str, ObjectMap] = {
            found.name: found for found in map(ObjectMap, self._each("bpf_object__next_map"))
        }
        self.programs: Mapping[str, ObjectProgram] = {
            found.name: found for found in map(ObjectProgram, self._each("bpf_object__next_program"))
        }

    @classmethod
    def open(cls, path: Path, pin_root: Path | None = None, name: str | None = None) -> Self:
        """Read an object file. Maps that are declared as pinned by name get their place below `pin_root`."""
        log = mmap.mmap(-1, LOG_ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        options = bpf_object_open_opts(
            object_name=name.encode() if name else None,
            pin_root_path=os.fsencode(pin_root) if pin_root else None,
            kernel_log_buf=ctypes.addressof(ctypes.c_char.from_buffer(log)),
            kernel_log_size=LOG_ROOM,
        )
        with warnings() as said:
            try:
                pointer: int = library().bpf_object__open_file(path, options)
            except OSError as error:
                raise _explained(error, "open object", path, said) from None
        return cls(pointer, path, log)

    @functools.cached_property
    def btf(self) -> Btf:
        """The object's types, with the offsets of its variables filled in."""
        size = ctypes.c_uint32()
        types = library().bpf_object__btf(self._opened())
        if not types:
            raise failure(errno.ENOENT, "no BTF in the object", self.path)
        return Btf(ctypes.string_at(library().btf__raw_data(types, ctypes.byref(size)), size.value))

    @functools.cached_property
    def rodata(self) -> Rodata:
        """The `const volatile` variables, to be set before load."""
        sections = {}
        for found in self.maps.values():
            section = PREFIX if found.name.endswith(PREFIX) else found.name
            if found.internal and section.startswith(PREFIX):
                sections[section] = self._initial_value(found)
        return Rodata(self.btf, sections)

    def load(self, quietly: bool = False) -> None:
        """Make the maps and load the programs, all or nothing.

        Raise VerifierError with the whole log if the verifier refuses one, and OSError for anything else. `quietly`,
        libbpf is not asked what it does: other threads run meanwhile, but an error says only its number.
        """
        pointer = self._opened()
        if "rodata" in self.__dict__:
            self.rodata.freeze()
        self._log[0] = 0
        with silence() if quietly else warnings() as said:
            try:
                library().bpf_object__load(pointer)
            except OSError as error:
                raise self._refused(error, said) or _explained(error, "load object", self.path, said) from None
        for made in self.maps.values():
            made._open_loaded()
        for loaded in self.programs.values():
            loaded._open_loaded()

    def close(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            if "rodata" in self.__dict__:
                self.rodata.freeze()
            for part in (*self.maps.values(), *self.programs.values()):
                part.close()
            library().bpf_object__close(pointer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is not None:
            self.close()

    def _opened(self) -> int:
        if self._pointer is None:
            raise ValueError(f"object {self.path} is closed")
        return self._pointer

    def _each(self, following: str) -> Iterator[int]:
        found = None
        while found := getattr(library(), following)(self._opened(), found):
            yield found

    def _initial_value(self, found: ObjectMap) -> memoryview:
        size = ctypes.c_size_t()
        address = library().bpf_map__initial_value(found._pointer, ctypes.byref(size))
        return memoryview((ctypes.c_uint8 * size.value).from_address(address)).cast("B")

    def _refused(self, error: OSError, said: list[str]) -> VerifierError | None:
        """The verifier's refusal, if that is why the load failed."""
        program = next((found[1] for line in said if (found := _PROGRAM_FAILED.search(line))), None)
        end = self._log.find(b"\0")
        log = self._log[: end if end >= 0 else LOG_ROOM].decode(errors="replace")
        if program is None or not log.strip():
            return None
        return VerifierError(error.errno or errno.EACCES, program, log)


def _explained(error: OSError, operation: str, path: Path, said: list[str]) -> OSError:
    """The error with libbpf's first warning, which names the map, program or section that it is about."""
    code = error.errno or errno.EIO
    return failure(code, f"{operation}: {said[0]}" if said else operation, path)
