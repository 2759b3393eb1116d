"""Points in time as Go prints them: local time with nanoseconds, in years far beyond 9999 too."""

from __future__ import annotations

import time

from cilium_py.schema.golang import int64

NS = 10**9


def local_time(ns: int) -> str:
    """2025-12-31 23:59:59.72071168 +0000 UTC, of nanoseconds since 1970."""
    at, fraction = _parts(ns)
    offset = _offset(at.tm_gmtoff)
    return f"{_date(at)} {_clock(at)}{fraction} {offset} {at.tm_zone}"


def rfc3339(ns: int) -> str:
    """2025-12-31T23:59:59.72071168Z, of nanoseconds since 1970."""
    at, fraction = _parts(ns)
    offset = _offset(at.tm_gmtoff)
    return f"{_date(at)}T{_clock(at)}{fraction}{f'{offset[:3]}:{offset[3:]}' if at.tm_gmtoff else 'Z'}"


def _parts(ns: int) -> tuple[time.struct_time, str]:
    seconds, rest = divmod(ns, NS)
    return time.localtime(seconds), f".{rest:09}".rstrip("0").rstrip(".")


def _date(at: time.struct_time) -> str:
    return f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}"


def _clock(at: time.struct_time) -> str:
    return f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"


def _offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}"


def seconds(ticks: int, hertz: int) -> int:
    """A time of a conntrack or NAT entry in seconds, in the 64 bits that cilium-dbg has for it.

    With `hertz` it is in jiffies >> 8, of which so many make a second.
    """
    return (ticks << 8) % (1 << 64) // hertz if hertz else int64(ticks)
