"""The order in which the kernel walks an LPM trie, which shows when a walk went back to its start.

A walk stands on a key. When that key is deleted under it, the kernel goes on from the first key of the trie. The
order is fixed: a prefix comes after every longer one within it, else the one with the lower address comes first. So
whatever does not come after all that came before is a repetition.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PREFIX_SIZE = 4


class Progress:
    """How far a walk has come. Keys are struct bpf_lpm_trie_key: prefix length in host order, then the address."""

    def __init__(self, key_size: int) -> None:
        bits = 8 * (key_size - PREFIX_SIZE)
        self._key = struct.Struct(f"=I{key_size - PREFIX_SIZE}s")
        # A place is the last address of the prefix, and below it, in 16 bits, how short the prefix is.
        self._rank = [((1 << bits - length) - 1) << 16 | bits - length for length in range(bits + 1)]
        self._last = -1

    def advance(self, keys: memoryview) -> list[int] | None:
        """Take note of keys; return which of them are new by their place, or None if all are."""
        last = before = self._last
        for place in self._places(keys):
            if place <= last:
                return self._fresh(keys, before)
            last = place
        self._last = last
        return None

    def _fresh(self, keys: memoryview, last: int) -> list[int]:
        fresh = []
        for index, place in enumerate(self._places(keys)):
            if place > last:
                fresh.append(index)
                last = place
        self._last = last
        return fresh

    def _places(self, keys: memoryview) -> Iterator[int]:
        rank, number = self._rank, int.from_bytes
        return (number(address, "big") << 16 | rank[length] for length, address in self._key.iter_unpack(keys))
