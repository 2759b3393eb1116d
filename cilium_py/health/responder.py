"""The responder: GET /hello is answered with 200 and nothing else, everything else with 404."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from cilium_py.errors import CiliumPyError
from cilium_py.net.namespace import NetNamespace

from . import pidfile
from .webserver import Request, Response, Routes, WebServer

EVERYWHERE = ("0.0.0.0", "::")


async def answer(_request: Request) -> Response:
    return Response()


ROUTES: Routes = {("GET", "/hello"): answer}


def serve(
    addresses: Iterable[str],
    port: int,
    pid_path: Path,
    namespace: NetNamespace | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT, inside the namespace.

    The namespace is looked up with the pid file held: who removes its name first and then ends the holder of the
    file leaves nobody behind. Raises AlreadyRunning, or CiliumPyError if no address can be used.
    """
    with pidfile.held(pid_path):
        if namespace is not None:
            namespace.enter()
        asyncio.run(_serve(addresses, port, ready))


async def listen(server: WebServer, addresses: Iterable[str], port: int) -> None:
    """Listen at each address; one that cannot be used is let go unless it is the only one."""
    refusals: list[OSError] = []
    wanted = list(addresses)
    for address in wanted:
        try:
            await server.listen(address, port)
        except OSError as error:
            refusals.append(error)
    if len(refusals) == len(wanted):
        why = refusals[0].strerror if refusals else "no address to answer at"
        raise CiliumPyError(f"no responder: {why}", hint="--listen names addresses, --port a port")


async def _serve(addresses: Iterable[str], port: int, ready: Callable[[], None] | None) -> None:
    server = WebServer(ROUTES)
    stop = stop_signal()
    await listen(server, addresses, port)
    if ready is not None:
        ready()
    await stop.wait()
    await server.close()


def stop_signal() -> asyncio.Event:
    """Set when the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
