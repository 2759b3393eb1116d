"""The times of entries, told from the moment that they are read at."""

from __future__ import annotations

from collections.abc import Callable

from cilium_py.maps.ct import NEVER
from cilium_py.node.runtime import Clock
from cilium_py.schema.remembered import Remembered
from cilium_py.schema.timestamp import NS, rfc3339

MOST_MINUTES = 1 << 14
"""Whose texts are remembered."""
SECONDS = len("2026-11-23T17:05:")


class Present:
    """The time of the entries that are read: live, the present; of a recording, when it was made."""

    def __init__(self, clock: Clock, now: int | None, wall: float | None) -> None:
        """`now` is in seconds of the agent's clock, `wall` in seconds since 1970; None where nobody knows."""
        # A clock without jiffies has seconds already, and there may be a million of them.
        self._seconds: Callable[[int], int] = clock.seconds if clock.hertz else int
        self._now = now
        self._began = None if wall is None or now is None else int(wall) - now
        """When the clock was at 0, in seconds since 1970."""
        self._minutes: Remembered[int, str] = Remembered(lambda minute: rfc3339(60 * minute * NS), MOST_MINUTES)

    def times(self, expires: int) -> tuple[int | None, str | None]:
        """Of the time at which an entry expires: (seconds left, RFC 3339); None for what never does or is not known."""
        if self._now is None or expires == NEVER:
            return None, None
        at = self._seconds(expires)
        if self._began is None:
            return at - self._now, None
        minute, second = divmod(self._began + at, 60)
        text = self._minutes[minute]
        return at - self._now, f"{text[:SECONDS]}{second:02}{text[SECONDS + 2 :]}"

    def since(self, ticks: int) -> int | None:
        """Seconds since a time in an entry."""
        return None if self._now is None else self._now - self._seconds(ticks)
