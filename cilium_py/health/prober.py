"""Probing addresses and keeping what was found."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from cilium_py.schema import duration
from cilium_py.schema.timestamp import NS, rfc3339

from . import echo
from . import hello as http
from .echo import Echo, LargeLost
from .history import History
from .model import Addresses, NodeReport, Outcome, Path, Report
from .schedule import EAGER_GAP, RECHECK, Schedule
from .targets import Target
from .verdict import State, of_path

MOST_AT_ONCE = 2048
OTHER_FILES = 64
"""Descriptors left for what is not a probe."""

Listener = Callable[[str, str, str, Outcome], None]


@dataclass(frozen=True)
class Manner:
    """How an address is probed. Seconds and bytes."""

    port: int = http.PORT
    deadline: float = 10.0
    echoes: int = echo.COUNT
    largest: int = 1500


@dataclass
class Prober:
    """Probes the targets and holds the newest result of each address; results of an address that comes back are kept
    only as long as it is among the targets."""

    local: str
    manner: Manner = field(default_factory=Manner)
    schedule: Schedule = field(default_factory=Schedule)
    targets: tuple[Target, ...] = ()
    results: dict[str, Path] = field(default_factory=dict)
    history: History = field(default_factory=History)
    listener: Listener | None = None
    """Told the type and rank of an address, the protocol and the outcome of each probe."""
    began: str = ""
    """When the current round began."""

    def __post_init__(self) -> None:
        self._echoes: dict[int, Echo] = {}
        self._turn = asyncio.Semaphore(_room())
        self._changed = asyncio.Event()
        self._whole_round: asyncio.Task[None] | None = None
        self._roles: dict[str, tuple[str, str]] = {}
        self._pursued: set[str] = set()
        self.aim(self.targets)

    @contextlib.contextmanager
    def sockets(self) -> Iterator[None]:
        """Hold the ICMP sockets, made in the network namespace that the thread is in."""
        with contextlib.ExitStack() as stack:
            for version in (4, 6):
                with contextlib.suppress(OSError):
                    # A kernel without IPv6, or no right to send echoes: those probes then fail and say so.
                    self._echoes[version] = stack.enter_context(Echo(version))
            yield
        self._echoes.clear()

    @property
    def addresses(self) -> list[str]:
        return list(self._roles)

    @property
    def interval(self) -> float:
        return self.schedule.interval(len(self.addresses))

    def aim(self, targets: Iterable[Target]) -> None:
        """Take on new targets and let go of old ones; addresses that stay keep their results."""
        self.targets = tuple(targets)
        self._roles = {ip: (kind, rank) for target in self.targets for ip, kind, rank in target.roles()}
        self.results = {ip: path for ip, path in self.results.items() if ip in self._roles}
        self.history.keep(self._roles)
        self._changed.set()

    def report(self) -> Report:
        """What is known now."""
        return Report(
            self.began,
            duration.of_seconds(self.interval),
            self.local,
            tuple(
                NodeReport(target.name, self._addresses(target.host), self._addresses(target.endpoint))
                for target in self.targets
            ),
        )

    async def run(self) -> None:
        """Probe round after round, until cancelled. What is new is probed at once."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._greet(group))
            group.create_task(self._rounds(group))

    async def probe_all(self, timeout: float) -> bool:
        """Probe every address now; False if some had no result within so many seconds.

        Who asks while such a round is under way shares it.
        """
        if self._whole_round is None or self._whole_round.done():
            self.began = now()
            self._whole_round = asyncio.create_task(self._probe_each(self.addresses, timeout))
        done, _ = await asyncio.wait([self._whole_round], timeout=timeout)
        return bool(done)

    async def probe(self, ip: str, deadline: float | None = None) -> None:
        """Probe an address by ICMP and HTTP at once; each result counts as soon as it is there."""
        limit = min(self.manner.deadline, deadline or self.manner.deadline)
        async with self._turn, asyncio.TaskGroup() as group:
            group.create_task(self._probe_icmp(ip, limit))
            group.create_task(self._probe_http(ip, limit))

    async def _probe_each(self, addresses: Iterable[str], timeout: float) -> None:
        end = asyncio.get_running_loop().time() + timeout

        async def within(ip: str) -> None:
            left = end - asyncio.get_running_loop().time()
            await self.probe(ip, max(0.05, left * 0.95))

        await asyncio.gather(*map(within, addresses))

    async def _rounds(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            addresses = self.addresses
            start, self.began = loop.time(), now()
            interval, gap = self.interval, self.schedule.gap(len(addresses))
            for number, ip in enumerate(addresses):
                await asyncio.sleep(start + (number + 0.5) * gap - loop.time())
                if ip in self.results:
                    group.create_task(self._pursue(ip))
            await asyncio.sleep(start + interval - loop.time())

    async def _greet(self, group: asyncio.TaskGroup) -> None:
        """Probe addresses that nothing is known of without waiting for their turn, though not all at once."""
        greeted: set[str] = set()
        while True:
            self._changed.clear()
            greeted &= set(self.addresses)
            for ip in [ip for ip in self.addresses if ip not in self.results and ip not in greeted]:
                greeted.add(ip)
                group.create_task(self._pursue(ip))
                await asyncio.sleep(EAGER_GAP)
            await self._changed.wait()

    async def _pursue(self, ip: str) -> None:
        """Probe an address; one that fails again and again within the round, ever more seldom."""
        if ip in self._pursued:
            return
        self._pursued.add(ip)
        pause = min(RECHECK, self.interval / 4)
        try:
            await self.probe(ip)
            while pause < self.interval and of_path(self.results.get(ip, Path(ip))) is State.UNREACHABLE:
                await asyncio.sleep(pause)
                pause *= 2
                await self.probe(ip)
        finally:
            self._pursued.discard(ip)

    async def _probe_icmp(self, ip: str, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline
        sender = self._echoes.get(6 if ":" in ip else 4)
        if sender is None:
            self._keep(ip, "icmp", Outcome(status="no ICMP socket: the family or the right is missing"))
            return
        try:
            latency = await sender.ping(ip, self.manner.echoes, deadline=deadline)
        except OSError as error:
            self._keep(ip, "icmp", Outcome(status=_reason(error)))
            return
        self._keep(ip, "icmp", Outcome(latency))
        try:
            size, latency = await sender.ping_large(ip, self.manner.largest, end - loop.time())
        except LargeLost as lost:
            self._keep(ip, "mtu", Outcome(status=str(lost), size=lost.size))
        except OSError:
            # The path went away since the small echo; the next one will tell.
            pass
        else:
            self._keep(ip, "mtu", Outcome(latency, size=size))

    async def _probe_http(self, ip: str, deadline: float) -> None:
        try:
            outcome = Outcome(await http.hello(ip, self.manner.port, deadline))
        except http.NotHealthy as failure:
            outcome = Outcome(status=str(failure))
        self._keep(ip, "http", outcome)

    def _keep(self, ip: str, protocol: str, outcome: Outcome) -> None:
        if ip not in self._roles:
            return
        outcome = replace(outcome, last_probed=now())
        self.results[ip] = self.results.get(ip, Path(ip)).having(protocol, outcome)
        series = self.history.of(ip, protocol)
        if outcome.ok:
            series.add(outcome.latency)
        else:
            series.fail(outcome.last_probed, outcome.status)
        if self.listener is not None:
            self.listener(*self._roles[ip], protocol, outcome)

    def _addresses(self, ips: tuple[str, ...]) -> Addresses | None:
        paths = [self.results.get(ip, Path(ip)) for ip in ips]
        return Addresses(paths[0], tuple(paths[1:])) if paths else None


def now() -> str:
    """RFC 3339, whole seconds."""
    return rfc3339(time.time_ns() // NS * NS)


def _reason(error: OSError) -> str:
    return "Connection timed out" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()


def _room() -> int:
    """How many addresses may be probed at once, each with a connection; asks for more room where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_AT_ONCE + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MOST_AT_ONCE, soft - OTHER_FILES if soft != resource.RLIM_INFINITY else MOST_AT_ONCE))
