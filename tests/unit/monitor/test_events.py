"""Messages of every release, and what the real programs sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.monitor import names
from cilium_py.monitor.dissect import Dissector
from cilium_py.monitor.events import (
    Capture,
    Debug,
    Drop,
    Malformed,
    Recorder,
    Trace,
    TraceSock,
    Verdict,
    decode,
    packet_of,
)  # fmt: skip
from cilium_py.schema.text import ip
from tests.unit.monitor.packets import SYN_PACKET, capture, debug, drop, ipv4, tcp, trace, verdict

PADDING = bytes(4)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_trace_of_each_version(version: int) -> None:
    data = trace(version=version, original=bytes(range(16)), trace_id=77, to=5, reason=0x82, flags=1)
    found = decode(data + PADDING)
    assert isinstance(found, Trace)
    assert (found.endpoint, found.hash, found.source_identity, found.destination_identity) == (11, 0xABC, 256, 2)
    assert (found.destination, found.reason, found.length) == (5, 0x82, len(SYN_PACKET) + 1000)
    assert found.original_address == (bytes(range(16)) if version else bytes(16))
    assert found.trace_id == (77 if version == 2 else 0)
    assert data[found.start :] == SYN_PACKET


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_drop_of_each_version(version: int) -> None:
    data = drop(version=version, detail=-7, to=9, flags=0, trace_id=78)
    found = decode(data + PADDING)
    assert isinstance(found, Drop)
    assert (found.reason, found.line, found.file, found.detail, found.ifindex) == (133, 99, 2, -7, 3)
    assert (found.destination, found.trace_id) == (9, 78 if version == 3 else 0)
    assert data[found.start :] == SYN_PACKET


@pytest.mark.parametrize("cookie", [None, 5])
def test_verdict_with_and_without_cookie(cookie: int | None) -> None:
    data = verdict(verdict=-133, flags=0x01 | 0x04 | 2 << 3 | 0x40, cookie=cookie)
    found = decode(data + PADDING)
    assert isinstance(found, Verdict)
    assert (found.remote_identity, found.verdict, found.port, found.protocol) == (2, -133, 80, 6)
    assert (found.ingress, found.match, found.audited, found.cookie) == (True, 2, True, cookie or 0)
    assert data[found.start :] == SYN_PACKET


def test_the_others() -> None:
    assert decode(debug(3, 1, 2, 3)) == Debug(2, 3, 11, 0xABC, 1, 2, 3)
    found = decode(capture(4, 6))
    assert isinstance(found, Capture)
    assert (found.subtype, found.arg1, found.captured) == (4, 6, len(SYN_PACKET))
    recorder = decode(bytes([6, 1, 7, 0]) + bytes(4) + (9).to_bytes(8, "little") + bytes([54, 0, 0, 0, 60, 0, 0, 0]))
    assert isinstance(recorder, Recorder)
    assert (recorder.direction, recorder.rule, recorder.boot_time, recorder.captured, recorder.length) == (
        1,
        7,
        9,
        54,
        60,
    )
    sock = decode(
        bytes([7, 1, 10, 0, 0, 1]) + bytes(12) + bytes([80, 0]) + bytes([1] + [0] * 7 + [2] + [0] * 7 + [1, 0])
    )
    assert isinstance(sock, TraceSock)
    assert (ip(sock.address), sock.port, sock.cookie, sock.cgroup, sock.protocol) == ("10.0.0.1", 80, 1, 2, 1)


def test_a_device_without_ethernet() -> None:
    data = trace(ipv4(tcp(), 6), flags=2)
    packet = packet_of(decode(data), data, Dissector())
    assert packet is not None
    assert packet.summary == "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"


@pytest.mark.parametrize("data", [
    b"", b"\x04", b"\x63" + bytes(60), trace()[:40], drop()[:39], bytes([4] + [0] * 13 + [9]) + bytes(60),
])  # fmt: skip
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data)


@given(st.sampled_from(sorted(names.KIND_NAMES)), st.binary(max_size=100))
def test_random_bytes(kind: int, rest: bytes) -> None:
    data = bytes([kind]) + rest
    try:
        found = decode(data)
    except Malformed:
        return
    packet_of(found, data, Dissector())


def test_what_the_real_programs_sent(shared: Path) -> None:
    dissector = Dissector()
    cases = json.loads((shared / "datapath/cases.json").read_text())["cases"]
    seen = 0
    for case in cases:
        for step in case["steps"]:
            for text in step["out"].get("events", ()):
                data = bytes.fromhex(text)
                event = decode(data)
                packet = packet_of(event, data, dissector)
                assert packet is not None
                assert isinstance(event, Trace | Drop | Verdict)
                assert len(data) == event.start + event.captured
                if isinstance(event, Drop):
                    assert event.reason in names.REASONS
                seen += 1
    assert seen > 1000


def test_names_are_the_originals(shared: Path) -> None:
    constants = json.loads((shared / "reference/constants-1.18.json").read_text())
    assert {int(number): text for number, text in constants["drop_reasons"].items()}.items() <= names.REASONS.items()
    assert constants["notify_types"] == names.KINDS
    assert constants["trace_points"] == {name: number for number, name in enumerate(names.OBSERVATION_POINTS)}


def test_layouts_are_the_originals(shared: Path) -> None:
    structs = json.loads((shared / "reference/structs-1.18.json").read_text())
    assert structs["drop_notify"]["size"] == decode(drop(b"")).start  # type: ignore[union-attr]
    assert structs["trace_notify"]["size"] == decode(trace(b"")).start  # type: ignore[union-attr]
    assert structs["policy_verdict_notify"]["size"] == decode(verdict(b"")).start  # type: ignore[union-attr]
    assert structs["debug_capture_msg"]["size"] == decode(capture(4, packet=b"")).start  # type: ignore[union-attr]
