"""Batches of entries to text, by a BPF program: bpf_src/bpf_format.c, told what to write by steps.

The program needs Linux 5.17 (bpf_loop) and the rights to load one. It is of the type that nothing but
BPF_PROG_TEST_RUN ever runs, and touches no memory but its own, which this process shares.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from ctypes import c_char, c_uint8, c_uint16, c_uint32, c_uint64
from types import TracebackType
from typing import Self

from cilium_py.bpf.batch import Batch
from cilium_py.bpf.object import BpfObject
from cilium_py.errors import CiliumPyError
from cilium_py.libbpf import library
from cilium_py.libbpf.structs import bpf_test_run_opts
from cilium_py.objects import DIRECTORY
from cilium_py.render.steps import (
    LITERAL_ROOM,
    MOST_CELLS,
    MOST_NAMES,
    MOST_STEPS,
    MOST_TABLES,
    NAME_ROOM,
    Program,
    Step,
)

OBJECT = DIRECTORY / "bpf_format.o"
ENTRIES_ROOM, TEXT_ROOM, ENTRY_SLACK = 1 << 19, 1 << 20, 8
NO_NAME = 0xFF


class format_step(ctypes.Structure):
    _fields_ = (
        ("mask", c_uint64),
        ("bias", c_uint64),
        ("most", c_uint64),
        ("divisor", c_uint32),
        ("offset", c_uint16),
        ("kind", c_uint8),
        ("side", c_uint8),
        ("big_endian", c_uint8),
        ("shift", c_uint8),
        ("size", c_uint8),
        ("width", c_uint8),
        ("pad", c_uint32),
        ("literal", c_char * LITERAL_ROOM),
    )


class format_name(ctypes.Structure):
    _fields_ = (("text", c_char * NAME_ROOM), ("size", c_uint64))


class format_memory(ctypes.Structure):
    _fields_ = (
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("key_at", c_uint32),
        ("value_at", c_uint32),
        ("count", c_uint32),
        ("steps_count", c_uint32),
        ("measuring", c_uint32),
        ("widths", c_uint32 * MOST_CELLS),
        ("done", c_uint32),
        ("kept", c_uint32),
        ("out", c_uint32),
        ("line", c_uint32),
        ("pc", c_uint32),
        ("full", c_uint32),
        ("cell", c_uint32),
        ("bits", c_uint64),
        ("octets", c_uint64 * 256),
        ("groups", c_uint32 * 256),
        ("slots", (c_uint8 * 256) * MOST_TABLES),
        ("names", format_name * MOST_NAMES),
        ("steps", format_step * MOST_STEPS),
        ("entries", c_uint8 * ENTRIES_ROOM),
        ("text", c_uint8 * TEXT_ROOM),
    )


class Formatter:
    """The program, loaded, and its memory. Close it, or use it in a with block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        try:
            self._load()
        except BaseException:
            self._stack.close()
            raise

    def _load(self) -> None:
        opened = self._stack.enter_context(BpfObject.open(OBJECT, name="format"))
        opened.load()
        self._program = opened.programs["format"]
        [memory_map] = (found for name, found in opened.maps.items() if name.endswith(".bss"))
        size = ctypes.sizeof(format_memory)
        if memory_map.info.value_size != size:
            raise CiliumPyError(f"{OBJECT}: built from other sources", "make build")
        self._mapping = mmap.mmap(memory_map.fd, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
        self._memory = format_memory.from_buffer(self._mapping)
        self._octets = memoryview(self._mapping)
        self._options = bpf_test_run_opts()
        self._memory.octets[:], self._memory.groups[:] = octets(), groups()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The memory goes when nobody has a view of it any more."""
        self._stack.close()

    def use(self, program: Program) -> None:
        """What is to be written of the entries from now on."""
        memory = self._memory
        memory.key_size, memory.value_size = program.key_size, program.value_size
        memory.steps_count = len(program.steps)
        memory.widths[:] = [0] * MOST_CELLS
        for at, step in enumerate(program.steps):
            memory.steps[at] = _as_c(step)
        slot = 0
        for number, names in enumerate(program.tables):
            ctypes.memset(memory.slots[number], NO_NAME, 256)
            for value, name in names.items():
                text = name.encode()
                memory.names[slot] = format_name(text, len(text))
                memory.slots[number][value] = slot
                slot += 1

    def texts(self, batch: Batch) -> Iterator[memoryview]:
        """The text of a batch's entries, in pieces: each is valid until the next is asked for."""
        memory = self._memory
        key_size, value_size = memory.key_size, memory.value_size
        room = (ENTRIES_ROOM - ENTRY_SLACK) // (key_size + value_size)
        start, text = format_memory.entries.offset, format_memory.text.offset
        for first in range(0, batch.count, room):
            count = min(room, batch.count - first)
            middle, end = start + count * key_size, start + count * (key_size + value_size)
            self._octets[start:middle] = batch.keys[first * key_size : (first + count) * key_size]
            self._octets[middle:end] = batch.values[first * value_size : (first + count) * value_size]
            memory.key_at, memory.value_at = 0, count * key_size
            memory.count, memory.done = count, 0
            while memory.done < count:
                library().bpf_prog_test_run_opts(self._program.fd, self._options)
                yield self._octets[text : text + memory.out]

    def measure(self, batch: Batch, widths: list[int]) -> list[int]:
        """The widths of a table's columns: the greatest of those given and those of a batch's cells."""
        self._memory.widths[:] = widths
        self._memory.measuring = 1
        for _ in self.texts(batch):
            pass
        self._memory.measuring = 0
        return list(self._memory.widths)

    def fill(self, widths: list[int]) -> None:
        """Make the columns as wide as this from now on."""
        self._memory.widths[: len(widths)] = widths


def _as_c(step: Step) -> format_step:
    return format_step(
        mask=step.mask,
        bias=step.least,
        most=step.most,
        divisor=step.divisor,
        offset=step.offset,
        kind=step.kind,
        side=step.side == "value",
        big_endian=step.big,
        shift=step.shift,
        size=len(step.literal),
        width=step.width,
        literal=step.literal,
    )


@functools.cache
def octets() -> list[int]:
    """Of each octet: its digits and a dot, then how many bytes that are with the dot and without."""
    texts = [f"{octet}.".encode() for octet in range(256)]
    return [int.from_bytes(text, "little") | len(text) << 32 | len(text) - 1 << 40 for text in texts]


@functools.cache
def groups() -> list[int]:
    """Of each set of zero groups of an IPv6 address, what is written of each group: two bits, 1 a colon, 2 the group.

    Bit 16 is the colon at the end, of an address whose last groups are left out.
    """
    return [_of_zeros(zeros) for zeros in range(256)]


def _of_zeros(zeros: int) -> int:
    start, length = _longest_run(zeros)
    said = sum(2 << 2 * group for group in range(8) if not start <= group < start + length)
    return said | (1 << 2 * start | (start + length == 8) << 16 if length else 0)


def _longest_run(bits: int) -> tuple[int, int]:
    """(first bit, length) of the first of the longest runs of at least two bits; (0, 0) if there is none."""
    for length in range(8, 1, -1):
        for start in range(9 - length):
            run = (1 << length) - 1 << start
            if bits & run == run:
                return start, length
    return 0, 0
