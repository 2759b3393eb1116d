"""Events as JSON lines: one schema of ours, numbers as numbers, in host byte order, built from pieces kept per flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cilium_py.monitor import l7, names
from cilium_py.monitor.clock import utc
from cilium_py.monitor.debug import capture_sentence, message
from cilium_py.monitor.events import L7, Agent, Capture, Debug, Drop, Event, Recorder, Trace, TraceSock, Verdict
from cilium_py.monitor.labels import Names
from cilium_py.monitor.packet import Packet
from cilium_py.monitor.text import state
from cilium_py.schema.text import ip

KEPT = 65536

Fields = dict[str, Any]  # what json writes


class JsonLines:
    """Puts events into lines. `numeric`: without labels and interface names."""

    def __init__(self, known: Names, numeric: bool = False) -> None:
        self._known = known
        self._numeric = numeric
        self._clock = utc()
        # What an event says beside its own hash and lengths, encoded: the same in all events of a flow at a place.
        self._bodies: dict[bytes, str] = {}

    def forget(self) -> None:
        """Look names up again: some are new."""
        self._bodies.clear()

    def write(self, moment: int, cpu: int, event: Event, packet: Packet | None, data: bytes) -> str:
        head = f'{{"time":"{self._clock(moment)}","cpu":{cpu},'
        if packet is None or not isinstance(event, Trace | Drop | Verdict):
            fields = _encode(self._fields(event))
            tail = "" if packet is None else f',"packet":{packet.json}'
            return f"{head}{fields}{tail}}}\n"
        key = data[:4] + data[14 : event.start]
        body = self._bodies.get(key)
        if body is None:
            if len(self._bodies) >= KEPT:
                self._bodies.clear()
            body = self._bodies[key] = _encode(self._fields(event))
        return (
            f'{head}{body},"hash":{event.hash},"bytes":{event.length},"captured":{event.captured}'
            f',"packet":{packet.json}}}\n'
        )

    def unknown(self, moment: int, cpu: int, why: str, data: bytes) -> str:
        fields = {"time": self._clock(moment), "cpu": cpu, "type": "unknown", "why": why, "data": data.hex()}
        return json.dumps(fields, separators=(",", ":")) + "\n"

    def _fields(self, event: Event) -> Fields:
        kind: Fields = {"type": names.KIND_NAMES[event.kind]}
        say: Callable[[Any], Fields] = _SAYERS[type(event)]
        fields = kind | say(event)
        match event:
            case Trace() | Drop():
                fields |= self._identity("source", event.source_identity)
                fields |= self._identity("destination", event.destination_identity)
                if not self._numeric:
                    fields["interface"] = self._known.interface(event.ifindex)
            case Verdict():
                fields |= self._identity("remote", event.remote_identity)
            case Debug():
                fields["message"] = message(event, lambda index: self._known.interface(index) or str(index))
        return fields

    def _identity(self, whose: str, identity: int) -> Fields:
        fields: Fields = {f"{whose}_identity": identity}
        if not self._numeric:
            fields[f"{whose}_labels"] = self._known.labels(identity)
        return fields


def _encode(fields: Fields) -> str:
    """The members of an object, without its braces."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, default=bytes.hex)[1:-1]


def _trace(event: Trace) -> Fields:
    to_proxy = event.point == names.TO_PROXY
    return {
        "point": names.word(names.OBSERVATION_POINTS, event.point),
        "endpoint": event.endpoint,
        "destination_endpoint": 0 if to_proxy else event.destination,
        "proxy_port": event.destination if to_proxy else 0,
        "state": state(event.reason),
        "encrypted": bool(event.reason & names.ENCRYPTED),
        "original_source": ip(event.original_address) if any(event.original_address) else "",
        "trace_id": event.trace_id,
        "ifindex": event.ifindex,
    }


def _drop(event: Drop) -> Fields:
    return {
        "reason": event.reason,
        "reason_text": names.reason(event.reason),
        "detail": event.detail,
        "endpoint": event.endpoint,
        "destination_endpoint": event.destination,
        "file": names.source_file(event.file),
        "line": event.line,
        "trace_id": event.trace_id,
        "ifindex": event.ifindex,
    }


def _verdict(event: Verdict) -> Fields:
    return {
        "endpoint": event.endpoint,
        "direction": "ingress" if event.ingress else "egress",
        "action": event.action,
        "verdict": event.verdict,
        "audited": event.audited,
        "match": names.word(names.MATCHES, event.match),
        "authentication": names.word(names.AUTHENTICATIONS, event.authentication),
        "port": event.port,
        "protocol": event.protocol,
        "cookie": event.cookie,
    }


def _debug(event: Debug) -> Fields:
    return {
        "endpoint": event.endpoint,
        "subtype": event.subtype,
        "hash": event.hash,
        "arguments": [event.arg1, event.arg2, event.arg3],
    }


def _capture(event: Capture) -> Fields:
    return {
        "endpoint": event.endpoint,
        "subtype": event.subtype,
        "message": capture_sentence(event),
        "arguments": [event.arg1, event.arg2],
        "hash": event.hash,
        "bytes": event.length,
        "captured": event.captured,
    }


def _recorder(event: Recorder) -> Fields:
    return {
        "direction": "ingress" if event.direction == 1 else "egress",
        "rule": event.rule,
        "boot_time": event.boot_time,
        "bytes": event.length,
        "captured": event.captured,
    }


def _trace_sock(event: TraceSock) -> Fields:
    return {
        "point": names.word(names.TRANSLATION_POINTS, event.point),
        "destination": ip(event.address),
        "destination_port": event.port,
        "protocol": names.word(names.SOCKET_PROTOCOLS, event.protocol),
        "socket_cookie": event.cookie,
        "cgroup": event.cgroup,
    }


def _agent(event: Agent) -> Fields:
    try:
        notice = json.loads(event.text)
    except ValueError:
        notice = event.text
    return {"subject": event.subject, "message": notice}


def _l7(event: L7) -> Fields:
    return {"protocol": l7.protocol(event.record), "record": event.record}


_SAYERS: dict[type, Callable[[Any], Fields]] = {
    Trace: _trace,
    Drop: _drop,
    Verdict: _verdict,
    Debug: _debug,
    Capture: _capture,
    Recorder: _recorder,
    TraceSock: _trace_sock,
    Agent: _agent,
    L7: _l7,
}
