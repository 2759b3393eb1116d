"""What a Cilium agent passes on: gobs, taken apart."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.cli.main import cilium_py, run
from cilium_py.errors import CiliumPyError
from cilium_py.monitor.agent import AgentSource
from cilium_py.monitor.events import Agent, decode
from cilium_py.monitor.gob import BadGob, Decoder
from cilium_py.monitor.jsonl import JsonLines
from cilium_py.monitor.l7 import line
from cilium_py.monitor.labels import Names
from tests.unit.monitor.packets import trace

# The example of Go's documentation: type P struct{ X, Y int }, the value {22, 33}.
POINT = bytes.fromhex("1fff8103010105506f696e7401ff82000102010158010400010159010400000007ff82012c014200")


def unsigned(number: int) -> bytes:
    if number < 128:
        return bytes([number])
    octets = number.to_bytes((number.bit_length() + 7) // 8)
    return bytes([256 - len(octets)]) + octets


def signed(number: int) -> bytes:
    return unsigned(number << 1 if number >= 0 else (~number << 1) | 1)


def octets(data: bytes) -> bytes:
    return unsigned(len(data)) + data


def message(body: bytes) -> bytes:
    return unsigned(len(body)) + body


INT, UINT, BYTES, STRING = 2, 3, 5, 6


def struct_type(type_id: int, name: str, fields: list[tuple[str, int]]) -> bytes:
    common = b"\x01" + octets(name.encode()) + b"\x01" + signed(type_id) + b"\0"
    listed = b"".join(b"\x01" + octets(field.encode()) + b"\x01" + signed(kind) + b"\0" for field, kind in fields)
    return message(
        signed(-type_id) + b"\x03" + b"\x01" + common + b"\x01" + unsigned(len(fields)) + listed + b"\0" + b"\0"
    )


PAYLOAD = struct_type(65, "Payload", [("Data", BYTES), ("CPU", INT), ("Lost", UINT), ("Type", INT)])


def sample(data: bytes, cpu: int = 3) -> bytes:
    return message(signed(65) + b"\x01" + octets(data) + b"\x01" + signed(cpu) + b"\x02" + signed(9) + b"\0")


def loss(count: int) -> bytes:
    return message(signed(65) + b"\x03" + unsigned(count) + b"\x01" + signed(2) + b"\0")


AGENT_NOTICE = (
    b"\x82"
    + struct_type(66, "AgentNotify", [("Type", UINT), ("Text", STRING)])
    + message(signed(66) + b"\x01" + unsigned(5) + b"\x01" + octets(b'{"revision":2}') + b"\0")
)


def test_the_documented_example() -> None:
    assert Decoder().feed(POINT) == [{"X": 22, "Y": 33}]


def test_bytes_in_any_portions() -> None:
    stream = PAYLOAD + sample(b"one") + sample(b"two", cpu=-1) + loss(300)
    whole = Decoder().feed(stream)
    assert whole == [
        {"Data": b"one", "CPU": 3, "Type": 9}, {"Data": b"two", "CPU": -1, "Type": 9}, {"Lost": 300, "Type": 2},
    ]  # fmt: skip
    for size in (1, 2, 7):
        decoder = Decoder()
        portions = [decoder.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
        assert [value for portion in portions for value in portion] == whole


@given(st.binary(max_size=80))
def test_random_bytes(data: bytes) -> None:
    decoder = Decoder()
    try:
        decoder.feed(PAYLOAD + data)
    except BadGob:
        return


def test_agent_notice() -> None:
    event = decode(AGENT_NOTICE)
    assert event == Agent(130, "Policy updated", '{"revision":2}')
    assert '"subject":"Policy updated","message":{"revision":2}' in JsonLines(Names()).write(0, 0, event, None, b"")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    path = tmp_path / "monitor.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path, listener


def test_through_a_socket(agent: tuple[Path, socket.socket]) -> None:
    path, listener = agent
    data = trace()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(PAYLOAD + sample(data) + loss(7) + sample(AGENT_NOTICE))

    server = threading.Thread(target=serve)
    server.start()
    source = AgentSource.open(path)
    found = []
    while not source.ended:
        found += source.read(1.0)
    server.join()
    source.close()
    assert [(cpu, data) for _, cpu, data in found] == [(3, data), (3, AGENT_NOTICE)]
    assert source.losses == (7, 0)
    assert source.failure is not None
    assert str(source.failure) == f"{path}: the agent closed it, no more events come"


def test_an_agent_that_goes_is_said(
    agent: tuple[Path, socket.socket], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, listener = agent

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(PAYLOAD + sample(AGENT_NOTICE))

    server = threading.Thread(target=serve)
    server.start()
    words = ["--bpf-root", str(tmp_path), "--state-dir", str(tmp_path), "monitor", "--monitor-socket", str(path)]
    assert run(lambda: cilium_py.main(words, standalone_mode=False)) == 3
    server.join()
    out, err = capfd.readouterr()
    assert "Policy updated" in out
    assert err.splitlines()[-2] == f"error: {path}: the agent closed it, no more events come"


def test_an_end_that_was_asked_for_is_no_failure(agent: tuple[Path, socket.socket]) -> None:
    path, listener = agent
    source = AgentSource.open(path)
    source.stop()
    listener.accept()[0].close()
    source.read(0.1)
    assert source.failure is None
    source.close()


def test_no_agent(tmp_path: Path) -> None:
    with pytest.raises(CiliumPyError, match="No such file"):
        AgentSource.open(tmp_path / "monitor.sock")


def test_request() -> None:
    record = {
        "Type": "Request", "ObservationPoint": "Ingress", "Verdict": "Denied",
        "SourceEndpoint": {"ID": 478, "Identity": 256, "Labels": ["k8s:app=client"]},
        "DestinationEndpoint": {
            "ID": 1762, "Identity": 257, "Labels": [{"Source": "k8s", "Key": "app", "Value": "web"}],
        },
        "HTTP": {"Method": "GET", "URL": "http://web/echo", "Code": 403},
    }  # fmt: skip
    assert line(record) == (
        "<- Request http from 478 ([k8s:app=client]) to 1762 ([k8s:app=web]), identity 256->257, verdict Denied "
        "GET http://web/echo => 403"
    )


def test_dns_answer() -> None:
    record = {
        "Type": "Response", "ObservationPoint": "Egress", "Verdict": "Forwarded",
        "SourceEndpoint": {"ID": 1}, "DestinationEndpoint": {},
        "DNS": {
            "Query": "cilium.io.", "QTypes": [1], "TTL": 486, "IPs": ["104.198.14.52"], "ObservationSource": "proxy",
        },
    }  # fmt: skip
    assert line(record).endswith("DNS Proxy: cilium.io. A TTL: 486 Answer: '104.198.14.52'")


def test_floats() -> None:
    number = struct.unpack("<Q", struct.pack(">d", 17.0))[0]
    stream = struct_type(70, "F", [("F", 4)]) + message(signed(70) + b"\x01" + unsigned(number) + b"\0")
    assert Decoder().feed(stream) == [{"F": 17.0}]
