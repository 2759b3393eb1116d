"""A number for each of many byte strings, of which no more is kept than a hash: 9 to 16 bytes, where a dict has 150."""

from __future__ import annotations

from array import array

LEAST = 1 << 12
"""Slots of an empty one."""
HASH = (1 << 64) - 1


class Fingerprints:
    """Byte string -> number, 0 for one that was never marked.

    Two strings with one hash of 64 bits would be taken for one: with a million of them, once in forty million runs.
    """

    def __init__(self, code: str = "B") -> None:
        """`code` is the array type of the numbers."""
        self._code = code
        self._marked = 0
        self._allocate(LEAST)

    def _allocate(self, slots: int) -> None:
        self._hashes = array("Q", bytes(8 * slots))
        self._numbers = array(self._code, bytes(array(self._code).itemsize * slots))
        self._last = slots - 1
        self._most = slots * 2 // 3

    def __len__(self) -> int:
        return self._marked

    def mark(self, octets: bytes, bits: int) -> None:
        """Set bits of a string's number."""
        hashes, last = self._hashes, self._last
        wanted = hash(octets) & HASH or 1
        at = wanted & last
        while (held := hashes[at]) and held != wanted:
            at = (at + 1) & last
        if not held:
            hashes[at] = wanted
            self._marked += 1
        self._numbers[at] |= bits
        if self._marked > self._most:
            self._grow()

    def of(self, octets: bytes) -> int:
        hashes, last = self._hashes, self._last
        wanted = hash(octets) & HASH or 1
        at = wanted & last
        while (held := hashes[at]) and held != wanted:
            at = (at + 1) & last
        return self._numbers[at]

    def _grow(self) -> None:
        hashes, numbers = self._hashes, self._numbers
        self._allocate(2 * len(hashes))
        new, last = self._hashes, self._last
        for held, number in zip(hashes, numbers, strict=True):
            if held:
                at = held & last
                while new[at]:
                    at = (at + 1) & last
                new[at] = held
                self._numbers[at] = number
