"""Events in the JSON of `cilium-dbg monitor -j`, field for field, for scripts that were written against it."""

from __future__ import annotations

import json
from typing import Any

from cilium_py.monitor import layers, names
from cilium_py.monitor.debug import capture_place, capture_sentence, message
from cilium_py.monitor.events import FLAG_IPV6, FLAG_L3_DEVICE, Agent, Capture, Debug, Drop, Event, Trace
from cilium_py.monitor.labels import Names
from cilium_py.monitor.packet import Packet
from cilium_py.monitor.text import Text, state, way
from cilium_py.schema.text import ip, mac

Fields = dict[str, Any]  # what json writes

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_LAYERS = ("ethernet", "ipv4", "ipv6", "tcp", "udp", "sctp", "icmpv4", "icmpv6")


class CompatJson:
    """Kinds that Cilium has no JSON for are lines of text, as there."""

    def __init__(self, known: Names) -> None:
        self._known = known
        self._text = Text(known, plain=True)

    def forget(self) -> None:
        self._text.forget()

    def unknown(self, moment: int, cpu: int, why: str, data: bytes) -> str:
        return self._text.unknown(moment, cpu, why, data)

    def write(self, moment: int, cpu: int, event: Event, packet: Packet | None, data: bytes) -> str:
        where = {"cpu": f"CPU {cpu:02d}:"}
        match event:
            case Drop():
                return _line(where | _drop(event) | _summary(event, packet, data))
            case Trace():
                return _line(where | self._trace(event) | _summary(event, packet, data))
            case Debug():
                return _line(where | {"type": "debug", "message": message(event, self._interface)})
            case Capture():
                return _line(where | self._capture(event) | {"summary": packet.summary if packet else ""})
            case Agent():
                return f'{{"type":"agent","subtype":"{event.subject}","message":{event.text}}}\n'
        return self._text.write(moment, cpu, event, packet, data)

    def _trace(self, event: Trace) -> Fields:
        return {
            "type": "trace",
            "mark": f"{event.hash:#x}",
            "ifindex": self._interface(event.ifindex),
            "state": state(event.reason),
            "observationPoint": names.word(names.OBSERVATION_POINTS, event.point),
            "traceSummary": way(event),
            "source": event.endpoint,
            "bytes": event.length,
            "srcLabel": event.source_identity,
            "dstLabel": event.destination_identity,
            "dstID": event.destination,
        }

    def _capture(self, event: Capture) -> Fields:
        return {
            "type": "capture",
            "mark": f"{event.hash:#x}",
            "message": capture_sentence(event),
            "prefix": capture_place(event, self._interface),
            "source": event.endpoint,
            "bytes": event.length,
        }

    def _interface(self, index: int) -> str:
        return self._known.interface(index) or str(index)


def _drop(event: Drop) -> Fields:
    return {
        "type": "drop",
        "mark": f"{event.hash:#x}",
        "reason": names.reason(event.reason, event.detail),
        "source": event.endpoint,
        "bytes": event.length,
        "srcLabel": event.source_identity,
        "dstLabel": event.destination_identity,
        "dstID": event.destination,
        "Line": event.line,
        "File": event.file,
        "ExtError": event.detail,
        "Ifindex": event.ifindex,
    }


def _summary(event: Drop | Trace, packet: Packet | None, data: bytes) -> Fields:
    """The headers as text, and the ends at each layer."""
    captured = data[event.start : event.start + event.captured]
    if packet is None or not captured:
        return {}
    if event.flags & FLAG_L3_DEVICE:
        lines = layers.network_lines(captured, bool(event.flags & FLAG_IPV6))
    else:
        lines = layers.lines(captured)
    by_layer: dict[str, str] = {}
    for line in lines:
        by_layer.setdefault(line.partition("\t")[0].lower(), line)
    found: Fields = {name: by_layer[name] for name in _LAYERS if name in by_layer}
    if packet.destination_mac:
        found["l2"] = {"src": mac(packet.source_mac), "dst": mac(packet.destination_mac)}
    if packet.source:
        found["l3"] = {"src": ip(packet.source), "dst": ip(packet.destination)}
    if packet.source_port is not None:
        found["l4"] = {"src": str(packet.source_port), "dst": str(packet.destination_port)}
    return {"summary": found}


def _line(fields: Fields) -> str:
    """As Go writes it: without what is empty text, and with what HTML could take amiss escaped."""
    kept = {name: value for name, value in fields.items() if value != ""}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPES) + "\n"
