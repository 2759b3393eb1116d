"""The perf rings of a BPF_MAP_TYPE_PERF_EVENT_ARRAY, read in bulk: whole stretches copied out, then walked.

PerfBuffer in ring.py calls back into Python for every record, which costs more than most records are worth.
Here a ring is emptied with one or two copies, and its records are taken apart when there is time for it.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

from cilium_py.bpf.handle import Handle
from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf import perf

PAGE = mmap.PAGESIZE
_KEY = struct.Struct("=I")
_LOST_FORMAT = struct.Struct("=QQ")
# struct perf_event_header, then for a sample its time and raw size, for a loss the event id and the count.
_RECORD = struct.Struct("=IHHQI")
_LOSS = struct.Struct("=IHHQQ")


class Block(NamedTuple):
    """Records as they lay in one CPU's ring, whole and in order."""

    cpu: int
    data: bytes


Sample: TypeAlias = tuple[int, int, bytes]
"""What a program wrote: when (ns since the epoch), on which CPU, and its bytes, which the kernel padded.

A plain tuple: of all that is made per record, naming its parts would cost most."""


def samples(blocks: Iterable[Block]) -> tuple[list[Sample], int]:
    """Take blocks apart: (their samples by time, how many more the kernel says it had no room for)."""
    found: list[Sample] = []
    add = found.append
    lost = 0
    record = _RECORD.unpack_from
    for cpu, data in blocks:
        at, end = 0, len(data)
        while at < end:
            kind, _, size, moment, length = record(data, at)
            if kind == perf.PERF_RECORD_SAMPLE:
                add((moment, cpu, data[at + 20 : at + 20 + length]))
            elif kind == perf.PERF_RECORD_LOST:
                lost += _LOSS.unpack_from(data, at)[4]
            at += size
    found.sort()
    return found, lost


def count(block: Block) -> int:
    """How many samples a block holds."""
    found, at, data = 0, 0, block.data
    while at < len(data):
        kind, _, size, _, _ = _RECORD.unpack_from(data, at)
        found += kind == perf.PERF_RECORD_SAMPLE
        at += size
    return found


class _Ring(Handle):
    """One CPU's event and the memory it shares with us."""

    def __init__(self, fd: int, cpu: int, size: int) -> None:
        # First: where there is no room for it, the fd stays the caller's.
        self._memory = mmap.mmap(fd, PAGE + size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        super().__init__(fd)
        self.cpu = cpu
        self._mask = size - 1
        self._view = memoryview(self._memory)
        self._data = self._view[PAGE:]
        self._positions = self._view[perf.DATA_HEAD : perf.DATA_TAIL + 8].cast("Q")
        self._barrier = threading.Lock()

    def take(self) -> Block | None:
        """Copy out what is there and give the room back."""
        head, tail = self._positions
        if head == tail:
            return None
        # The kernel wrote the records before it moved head. POSIX makes these two calls order our reads likewise,
        # and the copies before the new tail.
        with self._barrier:
            start, end = tail & self._mask, head & self._mask
            parts = (self._data[start:end],) if start < end else (self._data[start:], self._data[:end])
            data = b"".join(parts)
        self._positions[1] = head
        return Block(self.cpu, data)

    def lost(self) -> int:
        """The kernel's own count. Since Linux 6.0."""
        return int(_LOST_FORMAT.unpack(os.read(self.fd, _LOST_FORMAT.size))[1])

    def close(self) -> None:
        if not self.closed:
            for view in (self._positions, self._data, self._view):
                view.release()
            self._memory.close()
        super().close()


class PerfReader:
    """Rings for the online CPUs, put into a map: from then on, events that programs send there come here.

    An event array has one place a CPU: whoever read it before gets nothing any more, also after this reader ends.
    The map must be open for writing. `pages` of each ring are a power of two.
    """

    def __init__(self, map: BpfMap, *, pages: int) -> None:
        if pages < 1 or pages & (pages - 1):
            raise ValueError(f"{pages} pages: not a power of two")
        self.pages = pages
        self._map = map
        self._poll = select.poll()
        self._rings: dict[int, _Ring] = {}
        self._counts = True
        with ExitStack() as undo:
            undo.callback(self.close)
            for cpu in online_cpus():
                if cpu >= map.info.max_entries:
                    break
                try:
                    fd = self._open(cpu)
                except OSError as error:
                    # Went offline meanwhile.
                    if error.errno == errno.ENODEV:
                        continue
                    raise
                self._add(fd, cpu)
            undo.pop_all()

    @property
    def cpus(self) -> list[int]:
        return [ring.cpu for ring in self._rings.values()]

    @property
    def knows_losses(self) -> bool:
        """Whether `lost` can tell; before Linux 6.0 only the records of losses can."""
        return self._counts

    def _open(self, cpu: int) -> int:
        attributes = perf.perf_event_attr(
            type=perf.PERF_TYPE_SOFTWARE,
            config=perf.PERF_COUNT_SW_BPF_OUTPUT,
            sample_period=1,
            sample_type=perf.PERF_SAMPLE_TIME | perf.PERF_SAMPLE_RAW,
            read_format=perf.PERF_FORMAT_LOST if self._counts else 0,
            flags=perf.ATTR_WATERMARK | perf.ATTR_USE_CLOCKID,
            wakeup_watermark=self.pages * PAGE // 4,
            clockid=time.CLOCK_REALTIME,
        )
        try:
            return perf.perf_event_open(attributes, cpu)
        except OSError as error:
            # PERF_FORMAT_LOST: since Linux 6.0.
            if error.errno != errno.EINVAL or not self._counts:
                raise
            self._counts = False
            return self._open(cpu)

    def _add(self, fd: int, cpu: int) -> None:
        try:
            ring = _Ring(fd, cpu, self.pages * PAGE)
        except BaseException:
            os.close(fd)
            raise
        self._rings[fd] = ring
        self._poll.register(fd, select.POLLIN)
        self._map.update(_KEY.pack(cpu), _KEY.pack(fd))

    def wait(self, milliseconds: int) -> bool:
        """Wait until some ring is a quarter full, no longer than that time; True if one is."""
        ready = self._poll.poll(milliseconds)
        for fd, what in ready:
            if what & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                # Its CPU went offline; what is left in the ring can still be taken.
                self._poll.unregister(fd)
        return bool(ready)

    def take(self) -> list[Block]:
        """Empty the rings, however little is in them."""
        return [block for ring in self._rings.values() if (block := ring.take()) is not None]

    def lost(self) -> int:
        """How many samples the kernel had no room for, up to now. Since Linux 6.0, else 0."""
        return sum(ring.lost() for ring in self._rings.values()) if self._counts else 0

    def stop(self) -> None:
        """Take the rings out of the map; what is in them can still be read."""
        for ring in self._rings.values():
            self._map.delete(_KEY.pack(ring.cpu))

    def close(self) -> None:
        rings, self._rings = self._rings, {}
        for ring in rings.values():
            ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def online_cpus(path: Path = Path("/sys/devices/system/cpu/online")) -> list[int]:
    """The CPUs that run, by number."""
    cpus: list[int] = []
    for item in path.read_text().strip().split(","):
        first, _, last = item.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus
