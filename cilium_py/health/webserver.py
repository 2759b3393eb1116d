"""A small HTTP/1.1 server for a few fixed paths: one request a connection, everything limited."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

MOST_CONNECTIONS = 512
MOST_BYTES = 8192
SECONDS_TO_ASK = 10.0
BACKLOG = 1024

IP_FREEBIND = 15


class Request(NamedTuple):
    method: str
    path: str
    query: Mapping[str, str]


class Response(NamedTuple):
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Routes: TypeAlias = Mapping[tuple[str, str], Handler]
"""(method, path) -> what answers."""


def as_json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:  # whatever json can write
    return Response((json.dumps(value) + "\n").encode(), "application/json", status)


def problem(status: HTTPStatus, text: str = "") -> Response:
    return Response(f"{text or status.phrase}\n".encode(), status=status)


class WebServer:
    """Answers the routes on any number of sockets until it is closed."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int) -> None:
        """Answer at an address, which need not be there yet. Raises OSError."""
        version = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(version, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            if version == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"{address} port {port}: {error.strerror}") from error
        self._servers.append(await asyncio.start_server(self._serve, sock=listener, limit=MOST_BYTES, backlog=BACKLOG))

    async def listen_at(self, path: Path) -> None:
        """Answer at a socket of the file system that only its owner may use. The caller sees to it that it is alone.

        A socket that is there is replaced; anything else is FileExistsError.
        """
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise FileExistsError(errno.EEXIST, "something else than a socket is there", str(path))
            path.unlink()
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, path, limit=MOST_BYTES)
        finally:
            os.umask(mask)
        self._servers.append(server)

    async def close(self) -> None:
        """Listen no more, and let go of whoever is still connected."""
        for server in self._servers:
            server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = asyncio.current_task()
        assert own is not None
        room = len(self._connections) < MOST_CONNECTIONS
        self._connections.add(own)
        try:
            if room:
                writer.write(_encode(await self._answer(reader)))
                async with asyncio.timeout(SECONDS_TO_ASK):
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            # Whoever asked is gone.
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._connections.discard(own)

    async def _answer(self, reader: asyncio.StreamReader) -> Response:
        try:
            async with asyncio.timeout(SECONDS_TO_ASK):
                request = await _read(reader)
        except (ValueError, asyncio.IncompleteReadError):
            return problem(HTTPStatus.BAD_REQUEST)
        handler = self.routes.get((request.method, request.path))
        if handler is not None:
            return await handler(request)
        known = any(path == request.path for _, path in self.routes)
        return problem(HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND)


async def _read(reader: asyncio.StreamReader) -> Request:
    """The request line; the headers are read and left aside. ValueError if it is not HTTP or too large."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise ValueError("the request is too large") from error
    method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("not HTTP")
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query)))


def _encode(response: Response) -> bytes:
    head = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\n"
        f"Content-Type: {response.kind}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + response.body
