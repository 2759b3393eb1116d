"""The loop: read, decode, filter, write; until told to stop, the time is over, or enough events were shown."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cilium_py.bpf.perf import Sample
from cilium_py.monitor.dissect import Dissector
from cilium_py.monitor.events import Event, Malformed, decode, packet_of
from cilium_py.monitor.filters import Filters
from cilium_py.monitor.labels import Names
from cilium_py.monitor.packet import Packet
from cilium_py.monitor.source import Source
from cilium_py.monitor.tally import Tally

WAIT = 0.2
"""Seconds between two looks at the clock and at what was asked meanwhile."""
LOSS_REPORTS = 1.0
"""Seconds between two reports of losses."""


class Writer(Protocol):
    """Puts events into text; "" for one that has none."""

    def write(self, moment: int, cpu: int, event: Event, packet: Packet | None, data: bytes) -> str: ...
    def unknown(self, moment: int, cpu: int, why: str, data: bytes) -> str: ...
    def forget(self) -> None:
        """Look names up again: some are new."""


@dataclass
class Limits:
    """When to end by itself."""

    count: int | None = None
    seconds: float | None = None


@dataclass
class Monitor:
    """One run of the monitor. `put` gets the lines, `warn` what was lost meanwhile."""

    source: Source
    filters: Filters
    known: Names
    writer: Writer
    put: Callable[[str], None]
    warn: Callable[[str], None]
    limits: Limits = field(default_factory=Limits)
    last: int | None = None
    """Show this many of the last events, at the end."""
    tally: Tally | None = None
    """Count instead of showing."""
    seen: int = 0
    shown: int = 0
    unknown: int = 0
    stopping: bool = False
    _dissector: Dissector = field(default_factory=Dissector)
    _reported: tuple[int, int] = (0, 0)

    def run(self) -> None:
        """Returns when done; `stopping` set from a signal handler ends it soon."""
        start = time.monotonic()
        next_report = start + LOSS_REPORTS
        kept: deque[str] | None = deque(maxlen=self.last) if self.last is not None else None
        self.known.look_again()
        while not (self.source.ended or self._enough()):
            now = time.monotonic()
            left = WAIT if self.limits.seconds is None else start + self.limits.seconds - now
            if self.stopping or left <= 0:
                self.source.stop()
            if now >= next_report:
                self._report_losses()
                next_report = now + LOSS_REPORTS
            if self.known.look_again():
                self.writer.forget()
            lines = self._lines(self.source.read(min(max(left, 0), WAIT)))
            if kept is not None:
                kept.extend(lines)
            elif lines:
                self.put("".join(lines))
        self.source.stop()
        if kept is not None:
            self.put("".join(kept))
            self.shown = len(kept)

    def _enough(self) -> bool:
        return self.limits.count is not None and self.shown >= self.limits.count

    def _lines(self, samples: list[Sample]) -> list[str]:
        kinds, passes = self.filters.kinds, self.filters.passes
        everything = self.filters.needs_nothing
        write, dissector, tally, limit = self.writer.write, self._dissector, self.tally, self.limits.count
        lines: list[str] = []
        self.seen += len(samples)
        for moment, cpu, data in samples:
            if kinds is not None and data and data[0] not in kinds:
                continue
            try:
                event = decode(data)
            except Malformed as error:
                self.unknown += 1
                if everything and tally is None:
                    lines.append(self.writer.unknown(moment, cpu, str(error), data))
                continue
            packet = packet_of(event, data, dissector)
            if not everything and not passes(event, packet):
                continue
            if tally is not None:
                tally.add(event)
            else:
                line = write(moment, cpu, event, packet, data)
                if not line:
                    continue
                lines.append(line)
            self.shown += 1
            if limit is not None and self.shown >= limit:
                break
        return lines

    def _report_losses(self) -> None:
        losses = self.source.losses
        kernel, reader = losses.kernel - self._reported[0], losses.reader - self._reported[1]
        if kernel or reader:
            self._reported = losses
            self.warn(f"lost {kernel} events in the kernel, {reader} in the reader")
