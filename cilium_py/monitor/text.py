"""Events in the lines of Cilium's monitor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cilium_py.monitor import l7, layers, names
from cilium_py.monitor.clock import Clock
from cilium_py.monitor.debug import capture_place, capture_sentence, message
from cilium_py.monitor.events import (
    FLAG_IPV6,
    FLAG_L3_DEVICE,
    L7,
    Agent,
    Capture,
    Debug,
    Drop,
    Event,
    Recorder,
    Trace,
    TraceSock,
    Verdict,
)
from cilium_py.monitor.labels import Names, identity_name
from cilium_py.monitor.packet import Packet
from cilium_py.schema.text import ip

SEPARATOR = "-" * 78

SUMMARY, DEBUG, VERBOSE = range(3)
"""Levels of verbosity: none, -v, -vv."""


@dataclass
class Text:
    """Puts events into lines. `numeric`: no names; `plain`: the names that Cilium itself gives, no labels."""

    known: Names
    verbosity: int = SUMMARY
    numeric: bool = False
    plain: bool = False
    hexadecimal: bool = False
    clock: Clock | None = None
    _identities: dict[int, str] = field(default_factory=dict)

    def write(self, moment: int, cpu: int, event: Event, packet: Packet | None, data: bytes) -> str:
        """The lines of an event, or "" if it has none at this level."""
        said = self._say(cpu, event, packet, data)
        if not said:
            return ""
        line = SEPARATOR + "\n" if self._is_long(event) else ""
        return f"{line}{self._stamp(moment)}{said}\n"

    def unknown(self, moment: int, cpu: int, why: str, data: bytes) -> str:
        return f"{self._stamp(moment)}CPU {cpu:02d}: Unknown event: {why}: {data.hex()}\n"

    def _stamp(self, moment: int) -> str:
        return f"{self.clock(moment)} " if self.clock is not None else ""

    def _is_long(self, event: Event) -> bool:
        return self.verbosity >= VERBOSE and isinstance(event, Trace | Drop | Capture)

    def forget(self) -> None:
        """Look names up again: some are new."""
        self._identities.clear()

    def _say(self, cpu: int, event: Event, packet: Packet | None, data: bytes) -> str:
        summary = packet.summary if packet is not None else ""
        verbose = self.verbosity >= VERBOSE
        match event:
            case Trace():
                return (
                    self._dissected(event, data, self._long_trace(cpu, event))
                    if verbose
                    else self._trace(event, summary)
                )
            case Drop():
                return (
                    self._dissected(event, data, self._long_drop(cpu, event)) if verbose else self._drop(event, summary)
                )
            case Verdict():
                return self._verdict(event, summary)
            case Capture():
                if verbose:
                    head = f"CPU {cpu:02d}: MARK {event.hash:#x} FROM {event.endpoint} DEBUG: {event.length} bytes, "
                    return self._dissected(event, data, head + capture_sentence(event))
                place = capture_place(event, self._interface)
                return f"{place}: {summary}" if place else ""
            case Debug():
                head = f"CPU {cpu:02d}: MARK {event.hash:#x} FROM {event.endpoint} DEBUG: "
                return head + message(event, self._interface) if self.verbosity >= DEBUG else ""
            case TraceSock():
                return self._trace_sock(cpu, event) if self.verbosity >= DEBUG else ""
            case Recorder():
                return self._recorder(event, data)
            case Agent():
                return f">> {event.subject}: {event.text}"
            case L7():
                return l7.line(event.record)

    def _drop(self, event: Drop, summary: str) -> str:
        return (
            f"xx drop ({names.reason(event.reason, event.detail)}) flow {event.hash:#x} "
            f"to endpoint {event.destination}, ifindex {event.ifindex}, "
            f"file {names.source_file(event.file)}:{event.line}, {_trace_id(event.trace_id)}"
            f", identity {self._between(event)}: {summary}"
        )

    def _trace(self, event: Trace, summary: str) -> str:
        encrypted = " encrypted " if event.reason & names.ENCRYPTED else ""
        return (
            f"{way(event)}{encrypted} flow {event.hash:#x} , identity {self._between(event)}"
            f"{_trace_id(event.trace_id)} state {state(event.reason)} ifindex {self._interface(event.ifindex)} "
            f"orig-ip {ip(event.original_address)}: {summary}"
        )

    def _verdict(self, event: Verdict, summary: str) -> str:
        return (
            f"Policy verdict log: flow {event.hash:#x} local EP ID {event.endpoint}, "
            f"remote ID {self._identity(event.remote_identity)}, proto {event.protocol}, "
            f"{'ingress' if event.ingress else 'egress'}, action {event.action}, "
            f"auth: {names.word(names.AUTHENTICATIONS, event.authentication)}, "
            f"match {names.word(names.MATCHES, event.match)}, {summary}"
        )

    def _trace_sock(self, cpu: int, event: TraceSock) -> str:
        return (
            f"CPU {cpu:02d}: [{names.word(names.TRANSLATION_POINTS, event.point)}] cgroup_id: {event.cgroup} "
            f"sock_cookie: {event.cookie}, dst [{ip(event.address)}]:{event.port} "
            f"{names.word(names.SOCKET_PROTOCOLS, event.protocol)}"
        )

    def _recorder(self, event: Recorder, data: bytes) -> str:
        head = (
            f"Recorder capture: dir:{'ingress' if event.direction == 1 else 'egress'} rule:{event.rule} "
            f"ts:{event.boot_time} caplen:{event.captured} len:{event.length}"
        )
        return "\n".join((head, *self._layers(event, data), "----"))

    def _long_drop(self, cpu: int, event: Drop) -> str:
        said = (
            f"CPU {cpu:02d}: MARK {event.hash:#x} FROM {event.endpoint} DROP: {event.length} bytes, "
            f"reason {names.reason(event.reason, event.detail)}"
        )
        if event.source_identity or event.destination_identity:
            said += f", identity {self._between(event)}"
        return f"{said}, to endpoint {event.destination}" if event.destination else said

    def _long_trace(self, cpu: int, event: Trace) -> str:
        said = (
            f"CPU {cpu:02d}: MARK {event.hash:#x}{_trace_id(event.trace_id).upper()} FROM {event.endpoint} "
            f"{names.word(names.OBSERVATION_POINTS, event.point)}: {event.length} bytes ({event.captured} captured), "
            f"state {state(event.reason)}"
        )
        if event.ifindex:
            said += f", interface {self._interface(event.ifindex)}"
        if event.source_identity or event.destination_identity:
            said += f", , identity {self._between(event)}"
        said += f", orig-ip {ip(event.original_address)}"
        if event.destination:
            said += f", to {'proxy-port' if event.point == names.TO_PROXY else 'endpoint'} {event.destination}"
        return said

    def _dissected(self, event: Drop | Trace | Capture, data: bytes, head: str) -> str:
        return "\n".join((head, *self._layers(event, data)))

    def _layers(self, event: Drop | Trace | Capture | Recorder, data: bytes) -> list[str]:
        packet = data[event.start : event.start + event.captured]
        if self.hexadecimal:
            return layers.hex_dump(packet)
        if isinstance(event, Drop | Trace) and event.flags & FLAG_L3_DEVICE:
            return layers.network_lines(packet, bool(event.flags & FLAG_IPV6))
        return layers.lines(packet)

    def _between(self, event: Drop | Trace) -> str:
        return f"{self._identity(event.source_identity)}->{self._identity(event.destination_identity)}"

    def _identity(self, identity: int) -> str:
        """256(container:app=web), world; a number alone where no labels are known."""
        if self.numeric:
            return str(identity)
        if self.plain:
            return identity_name(identity)
        found = self._identities.get(identity)
        if found is None:
            found = identity_name(identity)
            if found.isdecimal():
                labels = self.known.labels(identity)
                found = f"{found}({','.join(labels)})" if labels else found
            self._identities[identity] = found
        return found

    def _interface(self, index: int) -> str:
        return (not self.numeric and self.known.interface(index)) or str(index)


def state(reason: int) -> str:
    known = reason & ~names.ENCRYPTED
    return names.TRACE_REASONS[known] if known < len(names.TRACE_REASONS) else str(reason)


def _trace_id(number: int) -> str:
    return f" [ ip-trace-id = {number} ]" if number else ""


_WAYS: dict[int, Callable[[Trace], str]] = {
    names.TO_ENDPOINT: lambda event: f"-> endpoint {event.destination}",
    names.TO_PROXY: lambda event: f"-> proxy port {event.destination}" if event.destination else "-> proxy",
    2: lambda _: "-> host from",
    names.FROM_ENDPOINT: lambda event: f"<- endpoint {event.endpoint}",
}


def way(event: Trace) -> str:
    """The point where the packet was seen, as an arrow."""
    say = _WAYS.get(event.point)
    if say is not None:
        return say(event)
    if event.point >= len(names.OBSERVATION_POINTS):
        return "unknown trace"
    direction, _, place = names.OBSERVATION_POINTS[event.point].partition("-")
    return f"{'->' if direction == 'to' else '<-'} {place}"
