"""What a program reports: the messages of bpf/lib, of every release, as tuples in host byte order.

A message says its version; where one release made it longer without saying so, its length tells.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from cilium_py.monitor import names
from cilium_py.monitor.dissect import Dissector, dissect_network
from cilium_py.monitor.packet import Packet

FLAG_IPV6, FLAG_L3_DEVICE = 1, 2
"""Of the flags of traces and drops."""

VERDICT_DIRECTION, VERDICT_IPV6, VERDICT_MATCH, VERDICT_AUDITED, VERDICT_L3_DEVICE = 0x03, 0x04, 0x38, 0x40, 0x80
VERDICT_INGRESS = 1


class Malformed(ValueError):
    """A message shorter than it says, or of a version that is not known."""


class Drop(NamedTuple):
    """struct drop_notify."""

    kind: int
    reason: int
    endpoint: int
    hash: int
    length: int
    captured: int
    version: int
    extension: int
    source_identity: int
    destination_identity: int
    destination: int
    line: int
    file: int
    detail: int
    ifindex: int
    flags: int
    trace_id: int
    start: int
    """Where the packet begins."""


class Trace(NamedTuple):
    """struct trace_notify."""

    kind: int
    point: int
    endpoint: int
    hash: int
    length: int
    captured: int
    version: int
    extension: int
    source_identity: int
    destination_identity: int
    destination: int
    """An endpoint, or to a proxy its port."""
    reason: int
    flags: int
    ifindex: int
    original: bytes
    """The address before reverse NAT, four or sixteen bytes of it."""
    trace_id: int
    start: int

    @property
    def original_address(self) -> bytes:
        return self.original if self.flags & FLAG_IPV6 else self.original[:4]


class Verdict(NamedTuple):
    """struct policy_verdict_notify."""

    kind: int
    subtype: int
    endpoint: int
    hash: int
    length: int
    captured: int
    version: int
    extension: int
    remote_identity: int
    verdict: int
    """0 allowed, below 0 a drop reason, above 0 the port of a proxy."""
    port: int
    protocol: int
    flags: int
    authentication: int
    cookie: int
    start: int

    @property
    def ingress(self) -> bool:
        return self.flags & VERDICT_DIRECTION == VERDICT_INGRESS

    @property
    def match(self) -> int:
        return (self.flags & VERDICT_MATCH) >> 3

    @property
    def audited(self) -> bool:
        return bool(self.flags & VERDICT_AUDITED)

    @property
    def action(self) -> str:
        if self.audited:
            return "audit"
        return "deny" if self.verdict < 0 else "redirect" if self.verdict else "allow"


class Debug(NamedTuple):
    """struct debug_msg."""

    kind: int
    subtype: int
    endpoint: int
    hash: int
    arg1: int
    arg2: int
    arg3: int


class Capture(NamedTuple):
    """struct debug_capture_msg."""

    kind: int
    subtype: int
    endpoint: int
    hash: int
    length: int
    captured: int
    version: int
    extension: int
    arg1: int
    arg2: int
    start: int


class Recorder(NamedTuple):
    """struct capture_msg, of the packet recorder."""

    kind: int
    direction: int
    rule: int
    reserved: int
    boot_time: int
    captured: int
    length: int
    start: int


class TraceSock(NamedTuple):
    """struct trace_sock_notify."""

    kind: int
    point: int
    destination: bytes
    port: int
    cookie: int
    cgroup: int
    protocol: int
    flags: int

    @property
    def address(self) -> bytes:
        return self.destination if self.flags & 1 else self.destination[:4]


class Agent(NamedTuple):
    """What an agent says of itself, through its monitor socket."""

    kind: int
    subject: str
    text: str
    """JSON."""


class L7(NamedTuple):
    """What a proxy says of a request or a response, through an agent's monitor socket."""

    kind: int
    record: dict[str, Any]
    """accesslog.LogRecord by its field names; what is zero is left out."""


Event: TypeAlias = Drop | Trace | Verdict | Debug | Capture | Recorder | TraceSock | Agent | L7

_DROPS = (
    # Up to Cilium 1.11 without a version (0), then 1; flags since 1.17; the trace id since 1.19.
    (struct.Struct("=BBHIIHBBIIIHBbI"), (0, 0)),
    (struct.Struct("=BBHIIHBBIIIHBbI"), (0, 0)),
    (struct.Struct("=BBHIIHBBIIIHBbIB3x"), (0,)),
    (struct.Struct("=BBHIIHBBIIIHBbIB3xQ"), ()),
)
_TRACES = (
    # The original address since 1.8, the trace id since 1.19.
    (struct.Struct("=BBHIIHBBIIHBBI"), (bytes(16), 0)),
    (struct.Struct("=BBHIIHBBIIHBBI16s"), (0,)),
    (struct.Struct("=BBHIIHBBIIHBBI16sQ"), ()),
)
_VERDICT = struct.Struct("=BBHIIHBBIiHBBB3x")
_VERDICT_WITH_COOKIE = struct.Struct("=BBHIIHBBIiHBBB3xI4x")
_DEBUG = struct.Struct("=BBHIIII")
_CAPTURE = struct.Struct("=BBHIIHBBII")
_RECORDER = struct.Struct("=BBHIQII")
_TRACE_SOCK = struct.Struct("=BB16sHQQBB")

_make = tuple.__new__


def _drop(data: bytes) -> Drop:
    layout, rest = _DROPS[data[14]]
    return _make(Drop, (*layout.unpack_from(data), *rest, layout.size))


def _trace(data: bytes) -> Trace:
    layout, rest = _TRACES[data[14]]
    return _make(Trace, (*layout.unpack_from(data), *rest, layout.size))


def _verdict(data: bytes) -> Verdict:
    found = _VERDICT.unpack_from(data)
    captured = found[5]
    # Since 1.19 with a cookie, under the old version.
    if len(data) >= _VERDICT_WITH_COOKIE.size + captured:
        return _make(Verdict, (*_VERDICT_WITH_COOKIE.unpack_from(data), _VERDICT_WITH_COOKIE.size))
    return _make(Verdict, (*found, 0, _VERDICT.size))


def _debug(data: bytes) -> Debug:
    return _make(Debug, _DEBUG.unpack_from(data))


def _capture(data: bytes) -> Capture:
    return _make(Capture, (*_CAPTURE.unpack_from(data), _CAPTURE.size))


def _recorder(data: bytes) -> Recorder:
    return _make(Recorder, (*_RECORDER.unpack_from(data), _RECORDER.size))


def _trace_sock(data: bytes) -> TraceSock:
    return _make(TraceSock, _TRACE_SOCK.unpack_from(data))


def _gob(data: bytes) -> dict[str, Any]:
    from cilium_py.monitor.gob import BadGob, Decoder

    try:
        [record] = Decoder().feed(data[1:])
    except BadGob as error:
        raise Malformed(f"type {data[0]}: {error}") from None
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise Malformed(f"type {data[0]} without a record")
    return record


def _agent(data: bytes) -> Agent:
    record = _gob(data)
    return Agent(data[0], names.word(names.AGENT_SUBJECTS, record.get("Type", 0)), record.get("Text", ""))


def _l7(data: bytes) -> L7:
    record = _gob(data)
    return L7(data[0], record.get("LogRecord", record))


DECODERS: dict[int, Callable[[bytes], Event]] = {
    names.DROP: _drop,
    names.TRACE: _trace,
    names.POLICY_VERDICT: _verdict,
    names.DEBUG: _debug,
    names.CAPTURE: _capture,
    names.RECORDER: _recorder,
    names.TRACE_SOCK: _trace_sock,
    names.AGENT: _agent,
    names.L7: _l7,
}


def decode(data: bytes) -> Event:
    """Raises Malformed."""
    try:
        return DECODERS[data[0]](data)
    except KeyError:
        raise Malformed(f"type {data[0]} is not known") from None
    except IndexError:
        version = data[14] if len(data) > 14 else "?"
        raise Malformed(f"version {version} of type {data[0] if data else '?'} is not known") from None
    except struct.error:
        raise Malformed(f"type {data[0]} in {len(data)} bytes") from None


def packet_of(event: Event, data: bytes, dissector: Dissector) -> Packet | None:
    """The packet that was captured with an event; None for those without one."""
    if isinstance(event, Debug | TraceSock | Agent | L7):
        return None
    start = event.start
    end = min(start + event.captured, len(data))
    if isinstance(event, Trace | Drop):
        if event.flags & FLAG_L3_DEVICE:
            return dissect_network(data[start:end], bool(event.flags & FLAG_IPV6))
    elif isinstance(event, Verdict) and event.flags & VERDICT_L3_DEVICE:
        return dissect_network(data[start:end], bool(event.flags & VERDICT_IPV6))
    return dissector.packet(data, start, end)
