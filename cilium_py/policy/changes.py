"""From one content of a policy map to another, entry by entry, while packets pass.

The order of the steps keeps two promises at every moment in between: what both contents allow passes, and what both
deny does not. Each promise needs that of the entries along a packet's prefixes

- no weaker old entry hides a new stronger one: old entries below a new stronger one go before any weaker one comes;
- a way for the packet is there before the old one goes: what is new comes before what is left over goes;
- nothing weaker outlives the entry that held it down: what is left over goes weakest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .mapstate import ANYONE, Entry, Key, MapState


@dataclass(frozen=True)
class Changes:
    """How many entries were added, given another value, and deleted."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    kept: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted)


@dataclass(frozen=True)
class Step:
    """Write an entry, or with None delete it."""

    key: Key
    entry: Entry | None


def plan(old: MapState, new: MapState, whole: MapState | None = None) -> Iterator[Step]:
    """The steps from old to new, in order. Entries that stay as they are do not occur.

    They need not be given: `whole` is then all that there is to be, and old and new are what differs.
    """
    whole = new if whole is None else whole
    ordered: list[tuple[tuple[int, int, int], Step]] = []
    for key, entry in new.items():
        before = old.get(key)
        if before is None or before.rank <= entry.rank:
            if before != entry:
                ordered.append(((0, -entry.rank, 0), Step(key, entry)))
        else:
            ordered.append(((1, before.rank, 1), Step(key, entry)))
    for key, entry in old.items():
        if key not in new:
            stronger = _strongest_above(key, whole)
            if stronger > entry.rank:
                ordered.append(((0, -stronger, 1), Step(key, None)))
            else:
                ordered.append(((1, entry.rank, 0), Step(key, None)))
    ordered.sort(key=lambda pair: pair[0])
    return (step for _, step in ordered)


def _strongest_above(key: Key, state: MapState) -> int:
    """The highest rank of an entry that covers this key, of its own row or of anyone's; -1 without one."""
    rank = -1
    for broader in key.l4.broader():
        for identity in (key.identity, ANYONE):
            entry = state.get(Key(key.direction, identity, broader))
            if entry is not None:
                rank = max(rank, entry.rank)
    return rank
