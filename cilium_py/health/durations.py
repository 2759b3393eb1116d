"""Durations as Go writes them: 1m14s, 672.6µs, 0s."""

from __future__ import annotations

import re

from cilium_py.errors import WrongUsage

NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
SECOND = NS["s"]

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def text(nanoseconds: int) -> str:
    """The shortest exact form."""
    if nanoseconds < 0:
        return "-" + text(-nanoseconds)
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < SECOND:
        unit = next(unit for unit in ("ms", "µs", "ns") if nanoseconds >= NS[unit])
        return _decimal(nanoseconds, NS[unit]) + unit
    minutes, rest = divmod(nanoseconds, NS["m"])
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{front}{_decimal(rest, SECOND)}s"


def of_seconds(seconds: float) -> str:
    """The text of a number of seconds, to the millisecond."""
    return text(round(seconds * 1000) * NS["ms"])


def seconds(written: str) -> float:
    """Read `1m30s` or `500ms`; a bare number counts seconds. Raises WrongUsage."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        return float(written)
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise WrongUsage(f"{written!r}: not a duration", hint="write 500ms, 10s or 1m30s")
    return sum(float(number) * NS[unit] for number, unit in parts) / SECOND


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0") if unit > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)
