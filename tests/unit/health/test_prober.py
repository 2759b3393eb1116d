"""The prober on loopback addresses, its metrics, and the process files around it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.health import pidfile, unit
from cilium_py.health.detach import detach
from cilium_py.health.echo import Echo, _Waiting
from cilium_py.health.metrics import LATENCY, STATUS, Metrics
from cilium_py.health.prober import Manner, Prober
from cilium_py.health.responder import ROUTES
from cilium_py.health.schedule import Schedule
from cilium_py.health.targets import Target, targets
from cilium_py.health.verdict import State, of_path
from cilium_py.health.webserver import WebServer
from cilium_py.net.checksum import checksum
from cilium_py.node.roster import KnownNode
from cilium_py.paths import NodePaths
from tests.unit.health.test_http import free_port

pytestmark = pytest.mark.usefixtures("as_root")

HERE, THERE = "127.0.0.1", "127.0.0.2"


def with_prober(work: Callable[[Prober], Awaitable[None]], *, echoes: int = 1) -> None:
    """A prober whose responder answers at one address; at the other only the kernel does, to ICMP."""

    async def run() -> None:
        server, port = WebServer(ROUTES), free_port()
        await server.listen(HERE, port)
        prober = Prober("here", Manner(port, 1.0, echoes, 1500), Schedule(0.2))
        prober.aim([Target("here", (HERE,)), Target("there", (THERE,))])
        with prober.sockets():
            await work(prober)
        await server.close()

    asyncio.run(run())


def test_probe_all() -> None:
    async def work(prober: Prober) -> None:
        assert await prober.probe_all(2)
        here, there = (leg.path for leg in prober.report().legs())
        assert of_path(here) is State.REACHABLE
        assert here.mtu is not None
        assert here.mtu.size == 1500
        assert there.icmp is not None
        assert there.icmp.ok
        assert there.http is not None
        assert there.http.status.endswith("connection refused")
        assert prober.history.of(THERE, "http").last_failure

    with_prober(work)


def test_rounds_go_on_and_new_addresses_come_first() -> None:
    async def work(prober: Prober) -> None:
        running = asyncio.create_task(prober.run())
        await asyncio.sleep(0.3)
        assert set(prober.results) == {HERE, THERE}
        before = len(prober.history.of(HERE, "icmp").times)
        prober.aim([Target("here", (HERE, "127.0.0.3"))])
        assert THERE not in prober.results
        await asyncio.sleep(0.1)
        assert "127.0.0.3" in prober.results
        await asyncio.sleep(0.6)
        assert len(prober.history.of(HERE, "icmp").times) > before
        running.cancel()

    with_prober(work)


def test_who_asks_at_once_shares_a_round() -> None:
    async def work(prober: Prober) -> None:
        await asyncio.gather(prober.probe_all(2), prober.probe_all(2), prober.probe_all(2))
        assert len(prober.history.of(HERE, "icmp").times) == 1

    with_prober(work)


def test_metrics() -> None:
    async def work(prober: Prober) -> None:
        metrics = Metrics(prober)
        await prober.probe_all(2)
        lines = metrics.text().splitlines()
        source = 'source_cluster="default",source_node_name="here"'
        for state, count in (("reachable", 1), ("unreachable", 1), ("unknown", 0)):
            assert f'{STATUS}{{{source},status="{state}",type="node"}} {count}' in lines
        own = f'address_type="primary",protocol="http",{source},type="node"'
        assert f"{LATENCY}_count{{{own}}} 2" in lines
        [total] = [line for line in lines if line.startswith(f"{LATENCY}_sum{{{own}}}")]
        assert 10 < float(total.split()[-1]) < 11

    with_prober(work)


def test_an_echo_that_cannot_be_sent_says_why() -> None:
    async def run() -> None:
        with Echo(4) as sender, pytest.raises(PermissionError):
            # Broadcasts need an option that the socket has not.
            await sender.ping("255.255.255.255", deadline=1.0)

    asyncio.run(run())


def test_lost_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        with Echo(4) as sender:
            monkeypatch.setattr(sender, "_take", lambda *_: None)
            with pytest.raises(TimeoutError, match="Connection timed out"):
                await sender.ping(HERE, deadline=0.3)
            assert not sender._waiting

    asyncio.run(run())


def test_answers_of_others_are_not_ours() -> None:
    """Though they have the numbers that we wait for."""

    async def run() -> None:
        with Echo(4) as silent, Echo(4) as other:
            taken = asyncio.get_running_loop().create_future()
            silent._waiting |= {number: _Waiting(HERE, taken, 0, 0) for number in range(1, 100)}
            for _ in range(20):
                await other.ping(HERE)
            assert not taken.done()

    asyncio.run(run())


def test_checksum() -> None:
    assert checksum(bytes.fromhex("0800f7fc00010002")) == 0
    assert checksum(b"\x01") == 0xFEFF


def test_targets_are_of_families_that_are_spoken() -> None:
    node = KnownNode(
        "b", ipv4=ip_address("172.30.0.2"), ipv6=ip_address("fd30::2"), secondary=(ip_address("172.31.0.2"),)  # type: ignore[arg-type]  # of either family
    )  # fmt: skip
    assert targets([node], {4, 6}.__contains__) == (Target("b", ("172.30.0.2", "fd30::2", "172.31.0.2")),)
    assert targets([node], {4}.__contains__) == (Target("b", ("172.30.0.2", "172.31.0.2")),)


def test_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "p.pid"
    assert pidfile.owner(path) is None
    assert pidfile.end(path) is False
    with pidfile.held(path):
        assert pidfile.owner(path) == os.getpid()
        with pytest.raises(pidfile.AlreadyRunning, match=str(os.getpid())), pidfile.held(path):
            pass
    assert not path.exists()


def test_pid_file_that_nobody_holds_ends_nobody(tmp_path: Path) -> None:
    path = tmp_path / "p.pid"
    path.write_text(f"{os.getpid()}\n")
    assert pidfile.owner(path) is None
    assert pidfile.end(path) is False
    with pidfile.held(path):
        assert pidfile.owner(path) == os.getpid()


HOLDER = """
import signal, sys, time
from pathlib import Path
from cilium_py.health import pidfile
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with pidfile.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("manner", ["listening", "deaf"])
def test_end_by_pid_file(tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pidfile, "GRACE_SECONDS", 0.3)
    path = tmp_path / "p.pid"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), manner], stdout=subprocess.PIPE, text=True
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert pidfile.end(path) is True
        holder.wait(5)


def test_detach_waits_for_what_it_starts(tmp_path: Path) -> None:
    proof = tmp_path / "proof"

    def work(ready: Callable[[], None]) -> None:
        proof.write_text(str(os.getpid()))
        ready()

    detach(work)
    assert int(proof.read_text()) != os.getpid()


def test_detach_tells_what_went_wrong() -> None:
    def work(_ready: Callable[[], None]) -> None:
        raise CiliumPyError("the port is taken")

    with pytest.raises(CiliumPyError, match="the port is taken"):
        detach(work)


def test_unit() -> None:
    text = unit.text(NodePaths(Path("/b"), Path("/s 1")), ["/usr/bin/cilium-py"], ["--ratio", "0.1"])
    assert "ExecStart=/usr/bin/cilium-py --bpf-root /b --state-dir '/s 1' health run --ratio 0.1\n" in text
