"""A number for each of many byte strings, of which only a hash is kept: 14 to 24 bytes, where a dict has 150."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

HASH = (1 << 64) - 1


class Fingerprints:
    """Byte string -> number, 0 for one that was never marked.

    Two strings with one hash of 64 bits would be taken for one: with a million of them, once in forty million runs.
    """

    def __init__(self, count: int, code: str = "B") -> None:
        """Room for so many strings to begin with; `code` is the array type of the numbers."""
        self._code = code
        self._marked = 0
        self._allocate(max(count, 8))

    def _allocate(self, count: int) -> None:
        self._slots = count + count // 2
        self._most = count + count // 4
        self._hashes = array("Q", bytes(8)) * self._slots
        self._numbers = array(self._code, [0]) * self._slots

    def __len__(self) -> int:
        return self._marked

    def mark(self, marks: Iterable[tuple[bytes, int]]) -> None:
        """Set bits of the numbers of strings."""
        hashes, numbers, slots, left = self._hashes, self._numbers, self._slots, self._most - self._marked
        for octets, bits in marks:
            wanted = hash(octets) & HASH or 1
            at = wanted % slots
            while (held := hashes[at]) != wanted:
                if not held:
                    hashes[at] = wanted
                    left -= 1
                    break
                at = at + 1 if at + 1 < slots else 0
            numbers[at] |= bits
            if not left:
                self._grow()
                hashes, numbers, slots, left = self._hashes, self._numbers, self._slots, self._most - self._marked
        self._marked = self._most - left

    def of(self, strings: Iterable[bytes]) -> Iterator[int]:
        """The numbers of strings."""
        hashes, numbers, slots = self._hashes, self._numbers, self._slots
        for octets in strings:
            wanted = hash(octets) & HASH or 1
            at = wanted % slots
            while (held := hashes[at]) != wanted and held:
                at = at + 1 if at + 1 < slots else 0
            yield numbers[at]

    def _grow(self) -> None:
        hashes, numbers, self._marked = self._hashes, self._numbers, self._most
        self._allocate(2 * self._marked)
        for held, number in zip(hashes, numbers, strict=True):
            if held:
                at = held % self._slots
                while self._hashes[at]:
                    at = at + 1 if at + 1 < self._slots else 0
                self._hashes[at], self._numbers[at] = held, number
