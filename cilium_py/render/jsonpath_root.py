"""What a template looks into when it is a list or an object too large for memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from types import TracebackType
from typing import Any, Self

from cilium_py.render import gojson
from cilium_py.render.spool import Spool
from cilium_py.render.stream import CHUNK, READING, as_it_is, chunks
from cilium_py.render.values import plain


class Rows:
    """A list, read as it is gone through; `again` says that this may happen more than once, or by number.

    What is read is kept, and what is `made` of it is made anew each time. An error while reading ends the list and is
    kept as `failure`. Use it in a with block.
    """

    def __init__(self, read: Iterable[Any], made: Callable[[Any], Any] = as_it_is, again: bool = True) -> None:
        self.failure: Exception | None = None
        self._made = made
        self._again = again
        self._kept = Spool[list[Any]]()
        self._count = 0
        source = self._reading(read)
        first = next(source, None)
        self._source = source if first is None else chain([first], source)
        self._is_empty = first is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def __bool__(self) -> bool:
        return not self._is_empty

    def __iter__(self) -> Iterator[Any]:
        return self.items()

    def __len__(self) -> int:
        while self._keep_next():
            pass
        return self._count

    def has(self, number: int) -> bool:
        """Whether there is an item of this number, without reading far beyond it."""
        while self._count <= number:
            if not self._keep_next():
                return False
        return True

    def items(self) -> Iterator[Any]:
        return map(self._made, chain.from_iterable(self._from(0) if self._again else self._source))

    def part(self, start: int, end: int, step: int) -> Iterator[Any]:
        """The items of some numbers, which they must have."""
        first, passed = divmod(start, CHUNK)
        return map(self._made, islice(chain.from_iterable(self._from(first)), passed, end - first * CHUNK, step))

    def printed(self) -> Iterator[str]:
        """As compact JSON, item by item."""
        separator = "["
        for item in self.items():
            yield separator + gojson.compact(plain(item))
            separator = ","
        yield "]" if self else "[]"

    def _from(self, number: int) -> Iterator[list[Any]]:
        """The chunks from this one on."""
        while number < len(self._kept) or self._keep_next():
            yield from self._kept.of(range(number, number + 1))
            number += 1

    def _keep_next(self) -> bool:
        chunk = next(self._source, None)
        if chunk is None:
            return False
        self._kept.add(chunk)
        self._count += len(chunk)
        return True

    def _reading(self, read: Iterable[Any]) -> Iterator[list[Any]]:
        try:
            yield from chunks(read)
        except READING as error:
            self.failure = error


class Members(Rows):
    """An object, read as pairs of a name and a value in the order of the names; to go through it gives the values."""

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def named(self, name: str) -> Iterator[Any]:
        """The value of this name, if there is one."""
        return (value for found, value in self.items() if found == name)

    def printed(self) -> Iterator[str]:
        separator = "{"
        for name, value in self.items():
            yield separator + gojson.compact({name: value})[1:-1]
            separator = ","
        yield "}" if self else "{}"
