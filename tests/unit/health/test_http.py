"""The web server and its two clients, over loopback and over files, with peers that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.health import webserver
from cilium_py.health.client import Client, NoProber, find_socket, own_socket
from cilium_py.health.hello import NotHealthy, hello, url
from cilium_py.health.responder import ROUTES
from cilium_py.health.webserver import Request, Response, WebServer, as_json
from cilium_py.paths import NodePaths

HOME = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as any_socket:
        any_socket.bind((HOME, 0))
        return int(any_socket.getsockname()[1])


def with_responder(work: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        server, port = WebServer(ROUTES), free_port()
        await server.listen(HOME, port)
        try:
            await work(port)
        finally:
            await server.close()

    asyncio.run(run())


def answer_to(*sent: bytes, close: bool = False) -> bytes:
    """What the responder says to raw bytes."""
    said = b""

    async def work(port: int) -> None:
        nonlocal said
        reader, writer = await asyncio.open_connection(HOME, port)
        for piece in sent:
            writer.write(piece)
            await asyncio.sleep(0.01)
        if close:
            writer.write_eof()
        said = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    with_responder(work)
    return said


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /hello?x=1 HTTP/1.0\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /hello/ HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /hello HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /hello SMTP\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\xff\xfe\xfd\r\n\r\n", b"400"),
        (b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_answers(sent: bytes, status: bytes) -> None:
    assert answer_to(sent).split(b" ")[1] == status


def test_hello_has_no_body() -> None:
    head, _, body = answer_to(b"GET /hello HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert b"Content-Length: 0" in head
    assert body == b""


def test_request_in_pieces() -> None:
    assert b" 200 " in answer_to(b"GET /he", b"llo HTTP/1.1\r", b"\n\r\n")


def test_request_that_ends_early() -> None:
    assert b" 400 " in answer_to(b"GET /hello", close=True)


def test_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webserver, "SECONDS_TO_ASK", 0.05)
    assert answer_to() == b""


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webserver, "MOST_CONNECTIONS", 0)

    async def work(port: int) -> None:
        with pytest.raises(NotHealthy):
            await hello(HOME, port, 1)

    with_responder(work)


def test_hello_measures() -> None:
    async def work(port: int) -> None:
        assert 0 < await hello(HOME, port) < 10**9

    with_responder(work)


async def refuse(port: int, deadline: float = 1.0) -> str:
    with pytest.raises(NotHealthy) as failure:
        await hello(HOME, port, deadline)
    return str(failure.value).removeprefix(f'Get "{url(HOME, port)}": ')


def test_nobody_listens() -> None:
    assert asyncio.run(refuse(free_port())) == "connection refused"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP status 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "the answer is not HTTP"),
        (b"x" * 20000, "the answer has a line that is too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 3000, "the answer has too many headers"),
        (None, "no answer within 0.2s"),
    ],
)
def test_bad_answers(said: bytes | None, reason: str) -> None:
    spoken = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            if said is None:
                await reader.read()
            else:
                writer.write(said)
            writer.close()
            await writer.wait_closed()
        spoken.set()

    async def run() -> str:
        port = free_port()
        async with await asyncio.start_server(speak, HOME, port):
            found = await refuse(port, 0.2)
            await spoken.wait()
            return found

    assert asyncio.run(run()) == reason


def test_addresses_in_urls() -> None:
    assert url("fd30::1") == "http://[fd30::1]:4240/hello"


def ask(path: Path, question: Callable[[Client], object], answers: dict[tuple[str, str], Response]) -> object:
    """Put a question to a server at a path, from a thread as the command line would."""

    async def run() -> object:
        server = WebServer({route: _always(response) for route, response in answers.items()})
        await server.listen_at(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        try:
            return await asyncio.to_thread(question, Client(path))
        finally:
            await server.close()

    return asyncio.run(run())


def _always(response: Response) -> Callable[[Request], Awaitable[Response]]:
    async def handler(_request: Request) -> Response:
        return response

    return handler


STATUS = ("GET", "/v1beta/status")


def test_client_reads_a_report(tmp_path: Path) -> None:
    document = {"local": {"name": "b"}, "nodes": [{"name": "b"}], "probeInterval": "1m14s", "timestamp": "now"}
    found = ask(tmp_path / "s", lambda client: client.status().document(), {STATUS: as_json(document)})
    assert found == document


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "s"))
    ask(tmp_path / "s", lambda client: client.status(), {STATUS: as_json({"nodes": []})})


@pytest.mark.parametrize("answer", [as_json([1]), Response(b"<html>")])
def test_client_is_told_nonsense(tmp_path: Path, answer: Response) -> None:
    with pytest.raises(CiliumPyError, match="not a health report"):
        ask(tmp_path / "s", lambda client: client.status(), {STATUS: answer})


def test_client_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CiliumPyError, match="HTTP status 404"):
        ask(tmp_path / "s", lambda client: client.status(), {})


def test_nobody_at_the_socket(tmp_path: Path) -> None:
    with pytest.raises(NoProber, match="no prober is running"):
        Client(tmp_path / "none").status()


def test_which_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CILIUM_HEALTH_SOCK", raising=False)
    paths = NodePaths(tmp_path / "bpf", tmp_path / "state")
    paths.state_dir.mkdir()
    assert find_socket(paths) == own_socket(paths) == tmp_path / "state/health.sock"
    (tmp_path / "health.sock").touch()
    assert find_socket(paths) == tmp_path / "health.sock"
    own_socket(paths).touch()
    assert find_socket(paths) == own_socket(paths)
    monkeypatch.setenv("CILIUM_HEALTH_SOCK", "unix:///somewhere")
    assert find_socket(paths) == Path("/somewhere")
