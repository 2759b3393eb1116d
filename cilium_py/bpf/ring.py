"""Records from programs: the ring buffer, and its per-CPU ancestor the perf buffer."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf import library
from cilium_py.libbpf.signatures import perf_buffer_lost_fn, perf_buffer_sample_fn, ring_buffer_sample_fn

STOP = -1


class _Buffer:
    """What both have: libbpf's object, and the first exception of a callback, kept for the caller of poll."""

    _prefix: str

    def __init__(self) -> None:
        self._buffer: int | None = None
        self._error: BaseException | None = None
        self._delivered = 0

    def _call(self, function: str, *arguments: int) -> Any:  # a foreign function's result
        if self._buffer is None:
            raise ValueError(f"{type(self).__name__} is closed")
        return getattr(library(), f"{self._prefix}__{function}")(self._buffer, *arguments)

    def _deliver(self, callback: Callable[..., None], *arguments: object) -> int:
        """Call back from C, through which no exception may pass."""
        if self._error is not None:
            return STOP
        try:
            callback(*arguments)
        except BaseException as error:
            self._error = error
            return STOP
        return 0

    def poll(self, timeout_ms: int = -1) -> int:
        """Wait for records and hand out all there are; return how many, 0 after the time or a signal.

        An exception of the callback comes out here.
        """
        return self._drain("poll", timeout_ms)

    def consume(self) -> int:
        """Hand out the records that are there, without waiting, also those too few to wake a poll."""
        return self._drain("consume")

    def _drain(self, function: str, *arguments: int) -> int:
        self._delivered = 0
        try:
            self._call(function, *arguments)
        except InterruptedError:
            pass
        except OSError:
            # STOP comes back as an errno of libbpf's choice; the callback's own exception says more.
            if self._error is None:
                raise
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._delivered

    def fileno(self) -> int:
        """A descriptor that select() and epoll see as readable when there are records."""
        return int(self._call("epoll_fd"))

    def close(self) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            getattr(library(), f"{self._prefix}__free")(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_buffer", None) is not None:
            self.close()


class RingBuffer(_Buffer):
    """The records of a BPF_MAP_TYPE_RINGBUF, in order, each handed to the callback as bytes.

    The map must be open for writing: reading moves its consumer position.
    """

    _prefix = "ring_buffer"

    def __init__(self, map: BpfMap, callback: Callable[[bytes], None]) -> None:
        super().__init__()

        def receive(_: int | None, data: int, size: int) -> int:
            self._delivered += 1
            return self._deliver(callback, ctypes.string_at(data, size))

        # libbpf keeps only its address.
        self._receive = ring_buffer_sample_fn(receive)
        self._buffer = library().ring_buffer__new(map.fd, self._receive, None, None)


class PerfBuffer(_Buffer):
    """The records of a BPF_MAP_TYPE_PERF_EVENT_ARRAY, each handed to the callback with its CPU.

    In order for each CPU, in no order between them. The kernel pads records to eight bytes.
    `lost` counts records for which a CPU's buffer had no room, as far as the kernel has said: it speaks with the
    next record that fits, so right after an overflow the count is still old.
    """

    _prefix = "perf_buffer"

    def __init__(
        self,
        map: BpfMap,
        callback: Callable[[int, bytes], None],
        *,
        pages: int = 64,
        on_lost: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.lost = 0

        def receive(_: int | None, cpu: int, data: int, size: int) -> None:
            self._delivered += 1
            self._deliver(callback, cpu, ctypes.string_at(data, size))

        def lose(_: int | None, cpu: int, count: int) -> None:
            self.lost += count
            if on_lost is not None:
                self._deliver(on_lost, cpu, count)

        # libbpf keeps only their addresses.
        self._receive = perf_buffer_sample_fn(receive)
        self._lose = perf_buffer_lost_fn(lose)
        self._buffer = library().perf_buffer__new(map.fd, pages, self._receive, self._lose, None, None)
