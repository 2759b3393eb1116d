"""A loaded BPF program: what it is, what it cost, and one run of it on a packet of ours."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from cilium_py.bpf.handle import Handle, ids, info_of
from cilium_py.bpf.pins import pinned
from cilium_py.libbpf import library
from cilium_py.libbpf.constants import ProgramType
from cilium_py.libbpf.structs import bpf_func_info, bpf_prog_info, bpf_test_run_opts

PACKET_GROWTH = 4096
"""Room for what a tested program adds to its packet."""

CONTEXT_ROOM = 512
"""More than any context: struct __sk_buff is 192 bytes, struct xdp_md 24."""


class ProgramInfo(NamedTuple):
    """What the kernel says of a program. Run time and count stand still unless statistics are enabled."""

    type: int
    id: int
    name: str
    tag: str
    uid: int
    load_time_ns: int
    xlated_size: int
    jited_size: int
    verified_instructions: int
    map_ids: tuple[int, ...]
    btf_id: int
    run_time_ns: int
    run_cnt: int
    recursion_misses: int

    @property
    def type_name(self) -> str:
        try:
            return ProgramType(self.type).name.lower()
        except ValueError:
            return f"type {self.type}"


@dataclass(frozen=True)
class TestRun:
    """The outcome of one test run: what the program returned, the packet and the context it left behind.

    `duration_ns` is the mean over the repetitions. The context is empty unless one was given.
    """

    __test__: ClassVar[bool] = False  # pytest: this is a value, not a test

    retval: int
    data: bytes
    ctx: bytes
    duration_ns: int


class Program(Handle):
    """A program in the kernel."""

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls(pinned(path, "program"))

    @classmethod
    def from_id(cls, program_id: int) -> Self:
        return cls(library().bpf_prog_get_fd_by_id(program_id))

    @property
    def info(self) -> ProgramInfo:
        """Ask the kernel, anew each time."""
        info = info_of(self.fd, bpf_prog_info)
        return ProgramInfo(
            type=info.type,
            id=info.id,
            name=info.name.decode(errors="replace"),
            tag=bytes(info.tag).hex(),
            uid=info.created_by_uid,
            load_time_ns=info.load_time,
            xlated_size=info.xlated_prog_len,
            jited_size=info.jited_prog_len,
            verified_instructions=info.verified_insns,
            map_ids=self._map_ids(info.nr_map_ids) if info.nr_map_ids else (),
            btf_id=info.btf_id,
            run_time_ns=info.run_time_ns,
            run_cnt=info.run_cnt,
            recursion_misses=info.recursion_misses,
        )

    def test_run(self, data: bytes, ctx: bytes | None = None, repeat: int = 1, flags: int = 0) -> TestRun:
        """Run the program on a packet, `repeat` times; maps are really changed, the packet is not sent.

        `ctx` is the context to start from, struct __sk_buff or xdp_md as far as it matters; b"" is an empty one,
        and None one that nobody reads back.
        """
        packet = ctypes.create_string_buffer(len(data) + PACKET_GROWTH)
        context = None if ctx is None else ctypes.create_string_buffer(CONTEXT_ROOM)
        options = bpf_test_run_opts(
            data_in=data,
            data_size_in=len(data),
            data_out=ctypes.cast(packet, ctypes.c_void_p),
            data_size_out=len(packet),
            ctx_in=ctx or None,
            ctx_size_in=len(ctx or b""),
            ctx_out=ctypes.cast(context, ctypes.c_void_p) if context else None,
            ctx_size_out=len(context or b""),
            repeat=repeat,
            flags=flags,
        )
        library().bpf_prog_test_run_opts(self.fd, options)
        return TestRun(
            retval=ctypes.c_int32(options.retval).value,
            data=packet.raw[: options.data_size_out],
            ctx=context.raw[: options.ctx_size_out] if context else b"",
            duration_ns=options.duration,
        )

    def function_type(self) -> int:
        """The BTF type of its main function, which has the whole name; 0 if it was loaded without."""
        record = bpf_func_info()
        info = bpf_prog_info(
            nr_func_info=1, func_info_rec_size=ctypes.sizeof(record), func_info=ctypes.addressof(record)
        )
        length = ctypes.c_uint32(ctypes.sizeof(info))
        library().bpf_obj_get_info_by_fd(self.fd, ctypes.byref(info), ctypes.byref(length))
        return record.type_id if info.nr_func_info else 0

    def _map_ids(self, count: int) -> tuple[int, ...]:
        ids = (ctypes.c_uint32 * count)()
        info = bpf_prog_info(nr_map_ids=count, map_ids=ctypes.addressof(ids))
        length = ctypes.c_uint32(ctypes.sizeof(info))
        library().bpf_obj_get_info_by_fd(self.fd, ctypes.byref(info), ctypes.byref(length))
        return tuple(ids[: info.nr_map_ids])


def program_ids() -> Iterator[int]:
    """Every program in the kernel, by id. Needs CAP_SYS_ADMIN."""
    return ids(library().bpf_prog_get_next_id)
