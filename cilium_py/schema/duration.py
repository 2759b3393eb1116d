"""Durations: written as Go does (1m14s, 672.6µs, 0s), read in days and weeks too."""

from __future__ import annotations

import re

from cilium_py.errors import WrongUsage

SECOND, HOUR = 10**9, 3600 * 10**9
NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": HOUR, "d": 24 * HOUR,
    "w": 168 * HOUR,
}  # fmt: skip
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}"
_PART = re.compile(rf"({_NUMBER})(ns|us|µs|ms|[smhdw])")
LONGEST = 40
"""Characters."""


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
    """Read `1m30s`, `500ms` or `2d`; a bare number counts seconds. Raises WrongUsage."""
    if re.fullmatch(_NUMBER, written):
        return float(written)
    parts = _PART.findall(written)
    if not parts or len(written) > LONGEST or "".join(number + unit for number, unit in parts) != written:
        raise WrongUsage(f"{written!r} is not a duration", "give one like 500ms, 90s, 1h30m or 2d")
    return sum(float(number) * NS[unit] for number, unit in parts) / SECOND


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0") if unit > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)
