"""How long each part of a regeneration took, under the names that Cilium exports."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


def ignore(name: str, seconds: float) -> None:
    """Tell nobody about a phase."""


@dataclass
class Phases:
    """A stopwatch. `listener` is told the name and the seconds of each phase when it ends well."""

    listener: Callable[[str, float], None] = ignore
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        took = time.perf_counter() - start
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        self.listener(name, took)
