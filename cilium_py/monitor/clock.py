"""Moments, in ns since the epoch, as text: the same second is written once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cilium_py.errors import WrongUsage

Clock = Callable[[int], str]

SECOND = 1_000_000_000
FORMATS = ("iso", "utc", "time", "unix", "relative")


class _BySecond:
    """A text for the second, the fraction, a text after it."""

    def __init__(self, digits: int, second: Callable[[int], tuple[str, str]]) -> None:
        self._digits = digits
        self._unit = 10 ** (9 - digits)
        self._text_of = second
        self._second = -1
        self._before = self._after = ""

    def __call__(self, moment: int) -> str:
        second, rest = divmod(moment, SECOND)
        if second != self._second:
            self._second = second
            self._before, self._after = self._text_of(second)
        return f"{self._before}.{rest // self._unit:0{self._digits}d}{self._after}"


def utc() -> Clock:
    """2026-11-23T14:00:00.123456789Z, as in JSON."""
    return _BySecond(9, lambda second: (datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S"), "Z"))


def clock(form: str, start: int) -> Clock:
    """The clock that --time-format names, or whose pattern for strftime it is. Raises WrongUsage."""
    match form:
        case "iso":
            return _BySecond(6, _local)
        case "utc":
            return utc()
        case "time":
            return _BySecond(6, lambda second: (time.strftime("%H:%M:%S", time.localtime(second)), ""))
        case "unix":
            return lambda moment: f"{moment // SECOND}.{moment % SECOND:09d}"
        case "relative":
            return lambda moment: f"{(moment - start) / SECOND:+.6f}"
    if "%" not in form:
        raise WrongUsage(
            f"--time-format {form}: no such format", f"one of {', '.join(FORMATS)}, or a pattern with %, as of strftime"
        )
    return lambda moment: datetime.fromtimestamp(moment / SECOND).astimezone().strftime(form)


def _local(second: int) -> tuple[str, str]:
    moment = datetime.fromtimestamp(second).astimezone()
    offset = moment.strftime("%z")
    return moment.strftime("%Y-%m-%dT%H:%M:%S"), f"{offset[:3]}:{offset[3:]}"
