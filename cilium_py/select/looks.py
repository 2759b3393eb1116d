"""Two looks at one table, compared entry by entry while the later one is read.

A map gives its entries in much the same order every time, with some more or less in between. So of what was there
before, only as much is unpacked as the reading has got to; the rest lies end to end, as it was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch


class Difference(NamedTuple):
    """An entry that is not what it was: its value then and now, None where it was or is not there."""

    key: bytes
    before: bytes | None
    now: bytes | None


class _Kept(NamedTuple):
    """A batch that lasts, and is quickly compared."""

    keys: bytes
    values: bytes
    entries: int

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        from cilium_py.bpf.batch import Batch

        return Batch(memoryview(self.keys), memoryview(self.values), self.entries).pairs()


class Look:
    """One look at a table, which is compared with the one before it."""

    def __init__(self, before: Look | None = None) -> None:
        self._read: deque[_Kept] = deque()
        self._is_first = before is None
        self._before = before._read if before is not None else deque()
        # Entries of either look that the other has not come to yet.
        self._earlier: dict[bytes, bytes] = {}
        self._later: dict[bytes, bytes] = {}

    def see(self, batch: Batch) -> Iterator[Difference]:
        """The next entries, and what is known to be different by them; nothing is at the first look of all."""
        kept = _Kept(bytes(batch.keys), bytes(batch.values), batch.count)
        self._read.append(kept)
        if self._is_first:
            return
        before = self._before.popleft() if self._before else None
        if before == kept:
            return
        if before is not None:
            yield from self._recall(before)
        for key, value in kept.pairs():
            known = self._earlier.pop(key, None)
            if known is not None:
                if known != value:
                    yield Difference(key, known, value)
            elif self._before:
                self._later[key] = value
            else:
                yield Difference(key, None, value)

    def end(self) -> Iterator[Difference]:
        """What is different by there being no more entries."""
        while self._before:
            yield from self._recall(self._before.popleft())
        for key, value in self._later.items():
            yield Difference(key, None, value)
        for key, value in self._earlier.items():
            yield Difference(key, value, None)
        self._later, self._earlier = {}, {}

    def _recall(self, before: _Kept) -> Iterator[Difference]:
        for key, value in before.pairs():
            now = self._later.pop(key, None)
            if now is None:
                self._earlier[key] = value
            elif now != value:
                yield Difference(key, value, now)
