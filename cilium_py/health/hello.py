"""The HTTP half of a probe: GET /hello on the health port."""

from __future__ import annotations

import asyncio
import os

PORT = 4240
DEADLINE = 10.0
MOST_BYTES = 8192


class NotHealthy(Exception):
    """The probe failed; the text says how, in one line."""


def url(address: str, port: int = PORT) -> str:
    return f"http://{bracketed(address)}:{port}/hello"


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


async def hello(address: str, port: int = PORT, deadline: float = DEADLINE) -> int:
    """Ask once; return how long the answer took in nanoseconds. Raises NotHealthy."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        async with asyncio.timeout(deadline):
            status = await _ask(address, port)
    except TimeoutError as error:
        # Either our deadline or the kernel's ETIMEDOUT.
        raise NotHealthy(f'Get "{url(address, port)}": no answer within {deadline:.3g}s') from error
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise NotHealthy(f'Get "{url(address, port)}": {reason}') from error
    if status != 200:
        raise NotHealthy(f'Get "{url(address, port)}": HTTP status {status}')
    return round((loop.time() - start) * 1e9)


async def _ask(address: str, port: int) -> int:
    reader, writer = await asyncio.open_connection(address, port, limit=MOST_BYTES)
    try:
        host = f"{bracketed(address)}:{port}"
        writer.write(f"GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        await _skip_headers(reader)
    except ValueError as error:
        raise OSError("the answer has a line that is too long") from error
    finally:
        writer.transport.abort()
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise OSError("the answer is not HTTP" if line else "the connection was closed without an answer")
    return int(rest[:3])


async def _skip_headers(reader: asyncio.StreamReader) -> None:
    size = 0
    while (line := await reader.readline()) not in (b"\r\n", b"\n", b""):
        size += len(line)
        if size > MOST_BYTES:
            raise OSError("the answer has too many headers")
