"""The order in which Go's sort leaves elements that compare equal, which is neither stable nor random.

cilium-dbg sorts some lists by a part of their key only. To print such a list as it does, one needs the same
pattern-defeating quicksort: insertion sort for short ranges, a pivot of three or nine, a partition that swaps.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from cilium_py.render.spool import Spool, arranged
from cilium_py.render.stream import READING, chunks

T = TypeVar("T")

SHORT, NINTHER, SHIFTABLE = 12, 50, 50
MOST_SHIFTS, MOST_SWAPS = 5, 12
WORD = (1 << 64) - 1


def go_sorted(items: Iterable[T], key: Callable[[T], Any]) -> Iterator[T]:
    """As Go's sort.Sort would order the items, given them in this order. Only their keys are all in memory.

    An error while reading comes after the items that were read before it.
    """
    failure: Exception | None = None
    keys: list[Any] = []
    with Spool[list[T]]() as spool:
        try:
            for chunk in chunks(items):
                keys += map(key, chunk)
                spool.add(chunk)
        except READING as error:
            failure = error
        ranks = _ranks(keys)
        for _, item in arranged(zip(ranks, chain.from_iterable(spool), strict=True), itemgetter(0)):
            yield item
    if failure is not None:
        raise failure


def _ranks(keys: list[Any]) -> array[int]:
    """Where each of the keys ends up. The list is emptied."""
    sorting = _Sorting(list(zip(keys, range(len(keys)), strict=True)))
    keys.clear()
    sorting.sort(0, len(sorting.items), len(sorting.items).bit_length())
    ranks = array("L", bytes(array("L").itemsize * len(sorting.items)))
    for rank, (_, at) in enumerate(sorting.items):
        ranks[at] = rank
    return ranks


class _Sorting:
    def __init__(self, items: list[tuple[Any, Any]]) -> None:
        self.items = items
        self.swaps = 0

    def less(self, one: int, other: int) -> bool:
        return bool(self.items[one][0] < self.items[other][0])

    def swap(self, one: int, other: int) -> None:
        self.items[one], self.items[other] = self.items[other], self.items[one]

    def sort(self, start: int, end: int, limit: int) -> None:
        balanced = partitioned = True
        while end - start > SHORT:
            if limit == 0:
                self.heap(start, end)
                return
            if not balanced:
                self.scatter(start, end)
                limit -= 1
            pivot = self.pivot(start, end)
            if self.swaps == MOST_SWAPS:
                self.items[start:end] = self.items[start:end][::-1]
                pivot = end - 1 - (pivot - start)
            looks_sorted = self.swaps in (0, MOST_SWAPS)
            if balanced and partitioned and looks_sorted and self.nearly_sorted(start, end):
                return
            if start > 0 and not self.less(start - 1, pivot):
                start = self.skip_equal(start, end, pivot)
                continue
            middle, partitioned = self.partition(start, end, pivot)
            left, right = middle - start, end - middle
            balanced = min(left, right) >= (end - start) // 8
            if left < right:
                self.sort(start, middle, limit)
                start = middle + 1
            else:
                self.sort(middle + 1, end, limit)
                end = middle
        self.insertion(start, end)

    def insertion(self, start: int, end: int) -> None:
        for at in range(start + 1, end):
            while at > start and self.less(at, at - 1):
                self.swap(at, at - 1)
                at -= 1

    def pivot(self, start: int, end: int) -> int:
        """The index of a median; `swaps` says how many of the comparisons for it were the wrong way round."""
        self.swaps = 0
        quarter = (end - start) // 4
        one, two, three = (start + quarter * count for count in (1, 2, 3))
        if end - start < 8:
            return two
        if end - start >= NINTHER:
            one, two, three = (self.median(at - 1, at, at + 1) for at in (one, two, three))
        return self.median(one, two, three)

    def median(self, one: int, two: int, three: int) -> int:
        one, two = self.in_order(one, two)
        two, three = self.in_order(two, three)
        return self.in_order(one, two)[1]

    def in_order(self, one: int, other: int) -> tuple[int, int]:
        if self.less(other, one):
            self.swaps += 1
            return other, one
        return one, other

    def partition(self, start: int, end: int, pivot: int) -> tuple[int, bool]:
        """(where the pivot is now, whether the range was partitioned already)."""
        self.swap(start, pivot)
        low, high, already = start + 1, end - 1, True
        while True:
            while low <= high and self.less(low, start):
                low += 1
            while low <= high and not self.less(high, start):
                high -= 1
            if low > high:
                break
            self.swap(low, high)
            low, high, already = low + 1, high - 1, False
        self.swap(high, start)
        return high, already

    def skip_equal(self, start: int, end: int, pivot: int) -> int:
        """Bring what equals the pivot to the front; return where the greater ones start."""
        self.swap(start, pivot)
        low, high = start + 1, end - 1
        while True:
            while low <= high and not self.less(start, low):
                low += 1
            while low <= high and self.less(start, high):
                high -= 1
            if low > high:
                return low
            self.swap(low, high)
            low, high = low + 1, high - 1

    def nearly_sorted(self, start: int, end: int) -> bool:
        """Repair up to five pairs in the wrong order; True if that sorted the range."""
        at = start + 1
        for _ in range(MOST_SHIFTS):
            while at < end and not self.less(at, at - 1):
                at += 1
            if at == end:
                return True
            if end - start < SHIFTABLE:
                return False
            self.swap(at, at - 1)
            if at - start >= 2:
                back = at - 1
                while back >= 1 and self.less(back, back - 1):
                    self.swap(back, back - 1)
                    back -= 1
            if end - at >= 2:
                ahead = at + 1
                while ahead < end and self.less(ahead, ahead - 1):
                    self.swap(ahead, ahead - 1)
                    ahead += 1
        return False

    def scatter(self, start: int, end: int) -> None:
        """Break a pattern that makes for bad pivots, by swaps that depend on the length alone."""
        length = end - start
        random, modulus = length, 1 << length.bit_length()
        centre = start + length // 4 * 2
        for offset in (-1, 0, 1):
            random ^= random << 13 & WORD
            random ^= random >> 7
            random ^= random << 17 & WORD
            other = random & (modulus - 1)
            self.swap(centre + offset, start + (other - length if other >= length else other))

    def heap(self, start: int, end: int) -> None:
        length = end - start
        for root in range((length - 1) // 2, -1, -1):
            self.sift(start, root, length)
        for last in range(length - 1, -1, -1):
            self.swap(start, start + last)
            self.sift(start, 0, last)

    def sift(self, start: int, root: int, length: int) -> None:
        while (child := 2 * root + 1) < length:
            if child + 1 < length and self.less(start + child, start + child + 1):
                child += 1
            if not self.less(start + root, start + child):
                return
            self.swap(start + root, start + child)
            root = child
