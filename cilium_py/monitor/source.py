"""Where events come from: the rings of a node's `cilium_events` map, emptied by a thread of its own."""

from __future__ import annotations

import errno
import threading
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.perf import PAGE, Block, PerfReader, Sample, count, online_cpus, samples
from cilium_py.errors import CiliumPyError, LayoutMismatch, NotPermitted, Partial
from cilium_py.libbpf.constants import MapType
from cilium_py.monitor.readers import readers
from cilium_py.table import explained

EVENTS = "cilium_events"
TICK = 0.05
"""Seconds that an event waits at most before it is read; a ring that fills is emptied sooner."""

MOST_PAGES, LEAST_PAGES = 1024, 64
MEMORY = 64 << 20
"""Bytes that the rings of all CPUs share, if that leaves each the least."""

BACKLOG = 256 << 20
"""Bytes read and not yet printed, beyond which events are counted and dropped."""
PORTION = 4 << 20
"""Bytes taken from the backlog at a time."""


class Losses(NamedTuple):
    """Events that never were printed: for want of room in a ring, or in the backlog behind a slow output."""

    kernel: int
    reader: int


class Source(Protocol):
    """What the monitor reads from."""

    def describe(self) -> str: ...
    def read(self, seconds: float) -> list[Sample]:
        """What there is, after at most that time; [] if nothing came."""

    @property
    def losses(self) -> Losses: ...
    @property
    def ended(self) -> bool:
        """Whether no event can come any more."""

    @property
    def failure(self) -> Partial | None:
        """What ended it, if it was not asked to end."""

    def stop(self) -> None:
        """Take no more events; those that were taken can still be read."""

    def close(self) -> None: ...


class RingSource:
    """The events of a node, from its map."""

    failure: Partial | None = None

    def __init__(self, map: BpfMap, pages: int | None = None) -> None:
        self._map = map
        self._reader = PerfReader(map, pages=pages or default_pages(len(online_cpus())))
        self._ready = threading.Condition()
        self._backlog: deque[Block] = deque()
        self._backlog_size = 0
        self._said_lost = self._dropped = self._final_lost = 0
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="perf rings", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, directory: Path, *, pages: int | None = None, take_over: bool = False) -> Self:
        """Read the events of the node whose maps are pinned there, from now on.

        Raises MapMissing, NotPermitted, or CiliumPyError if another process reads them, unless told to take over.
        """
        path = directory / EVENTS
        with ExitStack() as undo:
            try:
                opened = undo.enter_context(BpfMap.open(path, read_only=False))
            except OSError as error:
                raise explained(error, path) from error
            if opened.info.type != MapType.PERF_EVENT_ARRAY:
                raise LayoutMismatch(f"{path}: a map of type {opened.info.type_name}, not perf_event_array")
            if not take_over:
                _refuse_company(path, opened)
            try:
                source = cls(opened, pages)
            except OSError as error:
                raise _explained(error, path) from error
            undo.pop_all()
        return source

    def describe(self) -> str:
        cpus = len(self._reader.cpus)
        return f"Listening for events on {cpus} CPUs with {self._reader.pages}x{PAGE} of shared memory"

    def read(self, seconds: float) -> list[Sample]:
        with self._ready:
            if not self._backlog and not self._stopping:
                self._ready.wait(seconds)
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            blocks, size = [], 0
            while self._backlog and size < PORTION:
                block = self._backlog.popleft()
                blocks.append(block)
                size += len(block.data)
            self._backlog_size -= size
        found, lost = samples(blocks)
        self._said_lost += lost
        return found

    @property
    def losses(self) -> Losses:
        if self._stopping:
            return Losses(self._final_lost, self._dropped)
        return Losses(self._lost(), self._dropped)

    def _lost(self) -> int:
        return self._reader.lost() if self._reader.knows_losses else self._said_lost

    @property
    def ended(self) -> bool:
        return self._stopping and not self._backlog

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._thread.join()
        self._reader.stop()
        self._take()
        self._final_lost = self._lost()

    def close(self) -> None:
        self.stop()
        self._reader.close()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._reader.wait(int(TICK * 1000))
                self._take()
        except BaseException as error:
            with self._ready:
                self._error = error
                self._ready.notify()

    def _take(self) -> None:
        blocks = self._reader.take()
        if not blocks:
            return
        with self._ready:
            for block in blocks:
                if self._backlog_size >= BACKLOG:
                    self._dropped += count(block)
                    continue
                self._backlog.append(block)
                self._backlog_size += len(block.data)
            self._ready.notify()


def default_pages(cpus: int) -> int:
    """The most pages, a power of two, that leave every CPU its share."""
    pages = MOST_PAGES
    while pages > LEAST_PAGES and pages * PAGE * cpus > MEMORY:
        pages //= 2
    return pages


def _refuse_company(path: Path, opened: BpfMap) -> None:
    other = next(readers(opened.info.id), None)
    if other is not None:
        raise CiliumPyError(
            f"{path}: process {other.pid} ({other.name}) reads these events, and only one can",
            "--take-over reads them instead, and that process gets none until it is restarted;"
            " an agent passes them on: --monitor-socket",
        )


def _explained(error: OSError, path: Path) -> CiliumPyError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPermitted(f"{path}: {error.strerror}", "run as root")
    return CiliumPyError(f"{path}: {error.strerror}")
