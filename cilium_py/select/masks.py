"""Answers for every entry of a batch at once.

One byte of every entry is a column: a slice of the buffer with the size of an entry as its step. A table of 256
answers translates a column into one answer an entry, 0 or 1; read as one large integer, such answers combine with &,
| and ^. So a condition on a whole batch takes a few operations for each byte that it looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

Mask = Callable[["Columns"], int]
EQUAL = [bytes(wanted) + b"\1" + bytes(255 - wanted) for wanted in range(256)]
LESS = [b"\1" * limit + bytes(256 - limit) for limit in range(256)]


class Columns:
    """A batch as columns of bytes; answers for its entries are the bytes of an integer, the first the lowest."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.count = batch.count

    @cached_property
    def key(self) -> bytes:
        return bytes(self.batch.keys)

    @cached_property
    def value(self) -> bytes:
        return bytes(self.batch.values)

    @cached_property
    def all(self) -> int:
        return int.from_bytes(b"\1" * self.count, "little")

    def buffer(self, side: str) -> bytes:
        """Every key, or every value, end to end."""
        return self.key if side == "key" else self.value

    def column(self, side: str, at: int) -> bytes:
        """The byte at this place of each key, or of each value."""
        buffer = self.buffer(side)
        return buffer[at :: len(buffer) // self.count]

    def answers(self, side: str, at: int, table: bytes) -> int:
        """What the table says of each byte of a column."""
        return int.from_bytes(self.column(side, at).translate(table), "little")


def nothing(_columns: Columns) -> int:
    return 0


def everything(columns: Columns) -> int:
    return columns.all


def opposite(mask: Mask) -> Mask:
    return lambda columns: columns.all ^ mask(columns)


def all_of(masks: Sequence[Mask]) -> Mask:
    """The conjunction; what comes first spares what comes after it where it finds nothing."""
    if not masks:
        return everything

    def conjunction(columns: Columns) -> int:
        left = masks[0](columns)
        for each in masks[1:]:
            if not left:
                break
            left &= each(columns)
        return left

    return masks[0] if len(masks) == 1 else conjunction


def any_of(masks: Sequence[Mask]) -> Mask:
    def disjunction(columns: Columns) -> int:
        found = 0
        for each in masks:
            found |= each(columns)
        return found

    return masks[0] if len(masks) == 1 else disjunction


def table(side: str, at: int, answers: bytes) -> Mask:
    return lambda columns: columns.answers(side, at, answers)


def one_or_other(which: Mask, then: Mask, otherwise: Mask) -> Mask:
    def choice(columns: Columns) -> int:
        one, other = then(columns), otherwise(columns)
        if not one and not other:
            return 0
        chosen = which(columns)
        return chosen & one | (columns.all ^ chosen) & other

    return choice


class Number(NamedTuple):
    """An integer in each entry, of which only the bits of a mask count."""

    side: str
    octets: tuple[int, ...]
    """Where its bytes lie, the most significant first."""
    bits: int

    def _steps(self, number: int) -> list[tuple[int, int, int]]:
        """(place, bits that count, bits of the number) of each byte, the least significant first."""
        size = len(self.octets)
        kept = (self.bits & (1 << 8 * size) - 1).to_bytes(size)
        return list(zip(reversed(self.octets), reversed(kept), reversed(number.to_bytes(size)), strict=True))

    def equals(self, number: int) -> Mask:
        if not 0 <= number < 1 << 8 * len(self.octets) or number & ~self.bits:
            return nothing
        # The last bytes of a number differ most: where it is not, that is seen at the first.
        return all_of([table(self.side, at, _masked(EQUAL[byte], bits)) for at, bits, byte in self._steps(number) if bits])  # fmt: skip  # noqa: E501

    def below(self, limit: int) -> Mask:
        if limit <= 0:
            return nothing
        if limit >= 1 << 8 * len(self.octets):
            return everything
        steps = [(at, _masked(EQUAL[byte], bits), _masked(LESS[byte], bits)) for at, bits, byte in self._steps(limit)]

        def smaller(columns: Columns) -> int:
            below = 0
            for at, equal, less in steps:
                if below:
                    below &= columns.answers(self.side, at, equal)
                below |= columns.answers(self.side, at, less)
            return below

        return smaller

    def between(self, least: int, most: int) -> Mask:
        """Both included."""
        if least == most:
            return self.equals(least)
        return all_of([opposite(self.below(least)), self.below(most + 1)])


def _masked(answers: bytes, bits: int) -> bytes:
    """The same answers for a byte of which only some bits count."""
    return answers if bits == 0xFF else bytes(answers[value & bits] for value in range(256))


def starts_with(side: str, at: int, base: bytes, length: int) -> Mask:
    """Where the bytes from a place on begin with this many bits of a base."""
    whole, bits = divmod(length, 8)
    masks = [table(side, at + place, EQUAL[base[place]]) for place in reversed(range(whole))]
    if bits:
        kept = 0xFF << 8 - bits & 0xFF
        masks.insert(0, table(side, at + whole, _masked(EQUAL[base[whole] & kept], kept)))
    return all_of(masks)
