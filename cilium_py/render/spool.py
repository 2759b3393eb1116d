"""Any number of items in bounded memory: kept to be gone through again, or sorted.

A table of the usual size stays in memory. Of a larger one the most part lies in a temporary file that has no name.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

from cilium_py.errors import CiliumPyError
from cilium_py.render.stream import CHUNK, READING, chunks

T = TypeVar("T")

FIRST = 8
"""Chunks that a spool has in memory."""

RUN, BLOCK = 8 * CHUNK, 64
"""Items that are sorted in memory, and of each sorted run in the file those that are in memory at a time."""


class Spool(Generic[T]):
    """Chunks in the order that they came, to be gone through as often as needed. Close it, or use it in a with block.

    A chunk is anything that pickle takes: some rows, their cells, a batch.
    """

    def __init__(self, first: int = FIRST) -> None:
        self._room = first
        self._first: list[T] = []
        self._ends = array("Q", [0])
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return len(self._first) + len(self._ends) - 1

    def add(self, chunk: T) -> None:
        """Put a chunk behind the others. Raises CiliumPyError where there is no room for it."""
        if len(self._first) < self._room:
            self._first.append(chunk)
            return
        import pickle

        data = memoryview(pickle.dumps(chunk, pickle.HIGHEST_PROTOCOL))
        self._ends.append(self._ends[-1] + len(data))
        self._file = self._file or _unnamed_file()
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise CiliumPyError(
                f"temporary file: {error.strerror}", "TMPDIR=DIRECTORY names a roomier place"
            ) from error

    def __iter__(self) -> Iterator[T]:
        return self.of(range(len(self)))

    def of(self, numbers: range) -> Iterator[T]:
        """Some of the chunks."""
        for number in numbers:
            yield self._first[number] if number < len(self._first) else self._read(number - len(self._first))

    def _read(self, number: int) -> T:
        import pickle

        assert self._file is not None
        start, end = self._ends[number : number + 2]
        chunk: T = pickle.loads(os.pread(self._file.fileno(), end - start, start))
        return chunk


def _unnamed_file() -> IO[bytes]:
    """In the temporary directory, or in memory where nothing can be written."""
    import tempfile

    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError:
        return os.fdopen(os.memfd_create("cilium-py"), "w+b", buffering=0)


def arranged(
    items: Iterable[T], key: Callable[[T], Any], *, reverse: bool = False, limit: int | None = None, run: int = RUN
) -> Iterator[T]:
    """Items in the order of sorted(), no more than the limit, with at most `run` of them and some in memory.

    An error while reading comes after the items that were read before it.
    """
    failure: Exception | None = None
    with Spool[list[T]](first=0) as spool:
        runs: list[range] = []
        last: list[T] = []
        try:
            for part in chunks(items, run):
                part.sort(key=key, reverse=reverse)
                if len(part) < run:
                    last = part
                else:
                    runs.append(_spooled(spool, part))
                del part  # before the next is read
        except READING as error:
            failure = error
        found: Iterable[T] = last
        if runs:
            from heapq import merge

            found = merge(*(chain.from_iterable(spool.of(each)) for each in runs), last, key=key, reverse=reverse)
        yield from islice(found, limit)
    if failure is not None:
        raise failure


def _spooled(spool: Spool[list[T]], items: list[T]) -> range:
    """The numbers of the chunks that have the items."""
    start = len(spool)
    for at in range(0, len(items), BLOCK):
        spool.add(items[at : at + BLOCK])
    return range(start, len(spool))
