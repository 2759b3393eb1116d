"""How many events of which kind and for which reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from cilium_py.monitor import names
from cilium_py.monitor.debug import capture_sentence
from cilium_py.monitor.events import Capture, Drop, Event, Trace, TraceSock, Verdict
from cilium_py.monitor.text import state


class Row(NamedTuple):
    """One line of the count."""

    type: str
    reason: str
    where: str
    events: int
    bytes: int


@dataclass
class Tally:
    """Counts events and the bytes of their packets."""

    _events: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _bytes: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        key = (names.KIND_NAMES[event.kind], *_place(event))
        self._events[key] += 1
        self._bytes[key] += getattr(event, "length", 0)

    def rows(self) -> list[Row]:
        """By kind, the most frequent first."""
        rows = [Row(*key, number, self._bytes[key]) for key, number in self._events.items()]
        return sorted(rows, key=lambda row: (row.type, -row.events, row.reason, row.where))


def _place(event: Event) -> tuple[str, str]:
    """(why or what, where or which way)."""
    match event:
        case Drop():
            return names.reason(event.reason), f"{names.source_file(event.file)}:{event.line}"
        case Trace():
            return state(event.reason), names.word(names.OBSERVATION_POINTS, event.point)
        case Verdict():
            denied = f", {names.reason(-event.verdict)}" if event.verdict < 0 else ""
            return f"{event.action}{denied}", "ingress" if event.ingress else "egress"
        case Capture():
            return capture_sentence(event).partition(" ifindex")[0], ""
        case TraceSock():
            return names.word(names.TRANSLATION_POINTS, event.point), ""
    return "", ""
