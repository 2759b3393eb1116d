"""Fields that follow from a row and the time it is: how long an entry has left, how old it is, what state it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

R = TypeVar("R", bound=tuple[Any, ...])


class Ticks(Enum):
    """What the times of a row count."""

    AGENT = "agent"
    """Of conntrack and NAT: seconds of CLOCK_MONOTONIC, or jiffies >> 8, as the agent's options say."""
    MONOTONIC_NS = "monotonic"
    UNIX_NS = "unix"


@dataclass(frozen=True)
class Left:
    """Seconds until the time in a field of the row."""

    name: str
    of: str
    ticks: Ticks = Ticks.AGENT


@dataclass(frozen=True)
class Since:
    """Seconds since the latest of the times in some fields of the row."""

    name: str
    of: tuple[str, ...]
    ticks: Ticks = Ticks.AGENT


@dataclass(frozen=True)
class Summary(Generic[R]):
    """A word that sums up a row. `needs` are the fields that it is made of, and no other."""

    name: str
    of: Callable[[R], str]
    needs: tuple[str, ...]


FAMILIES = {4: "IPv4", 16: "IPv6"}


@dataclass(frozen=True)
class AddressFamily:
    """IPv4 or IPv6, as the address in a field of the row is; empty where there is none."""

    name: str
    of: str


Derived: TypeAlias = Left | Since | Summary[Any] | AddressFamily
