"""What a prober's socket may answer, ours or another's: a report, or an error in one line."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.health.client import Client

ANSWERS = [
    b"garbage\r\n\r\n",
    b"",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n[[[[[",
    b"HTTP/1.1 200 OK\r\n\r\n5",
    b'HTTP/1.1 200 OK\r\n\r\n"text"',
    b"HTTP/1.1 200 OK\r\n\r\n[1]",
    b'HTTP/1.1 200 OK\r\n\r\n[{"other": 1}]',
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    b"HTTP/1.1 404 Not Found\r\n\r\nno",
    b"HTTP/1.1 500 Oops\r\n\r\nboom\nboom",
]


@contextlib.contextmanager
def prober(path: Path, answer: bytes) -> Iterator[Client]:
    """A socket that answers one question."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Client(path)
        thread.join()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("ask", [Client.status, Client.healthz, Client.history], ids=lambda ask: ask.__name__)
def test_answers_that_make_no_sense(tmp_path: Path, ask: Callable[[Client], object], answer: bytes) -> None:
    with prober(tmp_path / "socket", answer) as client, pytest.raises(CiliumPyError):
        ask(client)


def test_cilium_has_no_history(tmp_path: Path) -> None:
    with (
        prober(tmp_path / "socket", b"HTTP/1.1 404 Not Found\r\n\r\n") as client,
        pytest.raises(CiliumPyError, match="HTTP status 404"),
    ):
        client.history()


def test_a_state(tmp_path: Path) -> None:
    state = {"cilium": {"cilium": {"state": "Ok"}}}
    with prober(tmp_path / "socket", b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(state).encode()) as client:
        assert client.healthz() == state
