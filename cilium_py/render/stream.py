"""Rows on their way out: in chunks, and kept where reading them fails halfway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

from cilium_py.errors import CiliumPyError

T = TypeVar("T")
READING = (CiliumPyError, OSError)
"""What may go wrong while a map is read: what was read before is true all the same."""

CHUNK = 1024
"""Items encoded before a write."""


def as_it_is(item: T) -> T:
    return item


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Items by the chunk. An error while reading comes after the items that were read before it."""
    chunk: list[T] = []
    failure: Exception | None = None
    iterator = iter(items)
    while failure is None:
        try:
            for item in iterator:
                chunk.append(item)
                if len(chunk) == size:
                    break
            else:
                break
        except READING as error:
            failure = error
        if chunk:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
    if failure is not None:
        raise failure


def collected(items: Iterable[T], finish: Callable[[list[T]], Iterable[Any]]) -> Iterator[Any]:
    """What `finish` makes of all items; an error while reading comes after what it made of those read before.

    Where nothing was read before the error, nothing is made.
    """
    read: list[T] = []
    failure: Exception | None = None
    try:
        read.extend(items)
    except READING as error:
        failure = error
    if read or failure is None:
        yield from finish(read)
    if failure is not None:
        raise failure


def put(stream: BinaryIO, pieces: Iterable[bytes | memoryview], end: bytes) -> bool:
    """Write pieces and an end behind them. False if there are none, and nothing is written."""
    is_written = False
    for piece in pieces:
        stream.write(piece)
        is_written = True
    if is_written:
        stream.write(end)
    return is_written


def put_members(stream: BinaryIO, pieces: Iterator[bytes | memoryview], start: bytes, end: bytes) -> bool:
    """Write members that each have a comma before them as one list or object, which ends also where reading fails.

    False if there are none, and nothing is written.
    """
    first = next(pieces, None)
    if first is None:
        return False
    stream.write(start)
    stream.write(first[1:])
    try:
        for piece in pieces:
            stream.write(piece)
    finally:
        stream.write(end)
    return True
