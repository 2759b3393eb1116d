"""`health run`: responder, prober, API, metrics and the care for the health endpoint, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cilium_py.errors import CiliumPyError
from cilium_py.node import peers
from cilium_py.node.config import FILE, NodeConfig
from cilium_py.node.roster import KnownNode
from cilium_py.paths import NodePaths

from . import client, endpoint, pidfile, responder
from .api import Api, metrics_routes
from .hello import NotHealthy, hello
from .metrics import Metrics
from .prober import Manner, Prober
from .schedule import Schedule
from .targets import known_nodes, targets
from .webserver import WebServer

REFRESH, CHECK, PATIENCE = 1.0, 60.0, 300.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to run. Seconds; `metrics` is an address and a port."""

    manner: Manner = field(default_factory=Manner)
    schedule: Schedule = field(default_factory=Schedule)
    socket: Path | None = None
    metrics: tuple[str, int] | None = None
    serve: bool = True
    refresh: float = REFRESH
    """How often to look whether the list of nodes changed."""
    check: float = CHECK
    """How often to look after the health endpoint."""
    patience: float = PATIENCE
    """How long it may be unreachable before it is launched anew."""


def run(paths: NodePaths, options: Options, ready: Callable[[], None] | None = None) -> None:
    """Probe until SIGTERM or SIGINT. Raises AlreadyRunning if the node has a prober."""
    config = NodeConfig.load(paths)
    if config.namespace is not None:
        config.namespace.enter()
    with pidfile.held(paths.state_dir / "health.pid"):
        asyncio.run(_run(paths, config, options, ready))


def aim(prober: Prober, paths: NodePaths, config: NodeConfig) -> list[KnownNode]:
    """Point the prober at the nodes that are known now; return them."""
    nodes = known_nodes(paths, config)
    versions = {family.address.version for family in config.families}
    prober.aim(targets(nodes, versions.__contains__))
    return nodes


async def _run(paths: NodePaths, config: NodeConfig, options: Options, ready: Callable[[], None] | None) -> None:
    stop = responder.stop_signal()
    prober = Prober(config.introduction().full_name, options.manner, options.schedule)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(prober.sockets())
        if options.serve:
            await _serve_hello(stack, config, options.manner.port)
        path = options.socket or client.own_socket(paths)
        api = WebServer(Api(paths, prober).routes())
        stack.push_async_callback(api.close)
        await api.listen_at(path)
        stack.callback(path.unlink, missing_ok=True)
        if options.metrics is not None:
            exported = WebServer(metrics_routes(Metrics(prober)))
            stack.push_async_callback(exported.close)
            await exported.listen(*options.metrics)
        follower = _Follower(paths, config, prober)
        follower.look()
        tasks = [
            asyncio.create_task(prober.run()),
            asyncio.create_task(follower.run(options.refresh)),
            asyncio.create_task(_care(paths, options)),
        ]
        if ready is not None:
            ready()
        await _until(stop, tasks)


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Let the tasks work until the stop; the error of one that breaks is raised."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *tasks):
        task.cancel()
    await asyncio.gather(stopped, *tasks, return_exceptions=True)
    for task in done - {stopped}:
        task.result()


async def _serve_hello(stack: contextlib.AsyncExitStack, config: NodeConfig, port: int) -> None:
    """Answer at the node's addresses, unless another responder does that already."""
    server = WebServer(responder.ROUTES)
    stack.push_async_callback(server.close)
    try:
        await responder.listen(server, [str(family.address) for family in config.families], port)
    except CiliumPyError as error:
        log.warning("%s; going on without", error)


class _Follower:
    """Follows the list of nodes: with prober and with the identities of addresses."""

    def __init__(self, paths: NodePaths, config: NodeConfig, prober: Prober) -> None:
        self.paths, self.config, self.prober = paths, config, prober
        self._nodes: list[KnownNode] = []
        self._stamp: object = None

    async def run(self, refresh: float) -> None:
        while True:
            await asyncio.sleep(refresh)
            self.look()

    def look(self) -> None:
        """Take up what changed; a list that cannot be read is left for later."""
        stamp = (self.config.roster(self.paths).stamp(), _stamp(self.paths.state_dir / FILE))
        if stamp == self._stamp:
            return
        try:
            self.config = NodeConfig.load(self.paths)
            before, self._nodes = self._nodes, aim(self.prober, self.paths, self.config)
        except CiliumPyError as error:
            log.warning("the nodes stay as they were: %s", error)
            self._stamp = stamp
            return
        self._stamp = stamp
        with contextlib.suppress(FileNotFoundError):
            # A node without programs yet has no map of identities.
            peers.sync(self.paths, self.config, before, self._nodes)


async def _care(paths: NodePaths, options: Options) -> None:
    """Launch the node's health endpoint anew when it was unreachable for too long."""
    loop = asyncio.get_running_loop()
    answered = loop.time()
    while True:
        record = endpoint.recorded(paths)
        if record is None or await _answers(record, options.manner.deadline):
            answered = loop.time()
        elif loop.time() - answered >= options.patience:
            log.warning("the health endpoint is unreachable: launching it anew")
            await _relaunch(paths)
            answered = loop.time()
        await asyncio.sleep(options.check)


async def _answers(record: endpoint.Record, deadline: float) -> bool:
    for address in record.addresses:
        with contextlib.suppress(NotHealthy):
            await hello(str(address), record.port, deadline)
            return True
    return False


async def _relaunch(paths: NodePaths) -> None:
    """In a process of its own, which spares this one what making interfaces and loading programs needs."""
    process = await asyncio.create_subprocess_exec(
        *endpoint.own_command(paths, "health", "endpoint", "add", "--relaunch"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        log.warning("the health endpoint could not be launched: %s", errors.decode(errors="replace").strip())


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
