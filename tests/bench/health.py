"""One prober and a thousand addresses, all on the loopback device of a namespace; four responders answer them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_interface
from pathlib import Path

from cilium_py.health import pidfile, verdict
from cilium_py.health.client import Client, own_socket
from cilium_py.health.endpoint import own_command
from cilium_py.loader import state
from cilium_py.net import address, link, route
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node.config import Family4, NodeConfig
from cilium_py.node.roster import KnownNode
from cilium_py.paths import NodePaths
from tests.bench import measure

TITLE = "Health: a prober of 1,000 nodes"

NODES, RESPONDERS, STEADY_SECONDS = 1000, 4, 20
HERE, NOWHERE = IPv4Address("10.200.0.0"), IPv4Address("10.201.0.0")


def run() -> str:
    with tempfile.TemporaryDirectory() as directory, _node(Path(directory)) as paths:
        with _responders(paths), _prober(paths) as pid:
            client = Client(own_socket(paths))
            start = time.perf_counter()
            while verdict.exit_code(client.status()) != verdict.ALL_REACHABLE:
                time.sleep(0.1)
            known = time.perf_counter() - start
            rounds = [_round(client, pid, 10) for _ in range(5)]
            wall, cpu = (sorted(column)[2] for column in zip(*rounds, strict=True))
            before = _cpu(pid)
            time.sleep(STEADY_SECONDS)
            steady = (_cpu(pid) - before) / STEADY_SECONDS
            interval = client.status().interval
            memory = _resident(pid)
        command = measure.median([*own_command(paths, "version")], 3).wall
        _know(paths, NOWHERE)
        with _prober(paths) as pid:
            dead_wall, dead_cpu = _round(Client(own_socket(paths)), pid, 2)
        floor = _pings(paths)
    rows = [
        ["full round, all reachable", wall, cpu, f"{wall / NODES * 1e6:.0f} µs of wall time an address"],
        ["full round, none reachable, `--timeout 2s`", dead_wall, dead_cpu, "ends with its timeout"],
        ["first results of all after the start", known, "", "50 addresses a second until all are known"],
        [f"a process `ping -c1` for each, {os.cpu_count()} at once", *floor, "ICMP alone, without HTTP and large echo"],
    ]
    table = measure.table(["", "wall s", "CPU s", ""], rows)
    return (
        f"{table}\n\nA round: an ICMP echo, one of 1,500 bytes and an HTTP request to each of {NODES:,} addresses. "
        f"Between rounds asked for, at the pace of `health run` (interval {interval}), the prober takes "
        f"{steady * 100:.2g} % of one CPU; it holds {memory:.0f} MB. A command's own start is {command * 1e3:.0f} ms."
    )


@contextlib.contextmanager
def _node(directory: Path) -> Iterator[NodePaths]:
    """A namespace with a thousand addresses, and the state of a node that knows as many."""
    namespace = NetNamespace.named(f"cpy-bench-{os.getpid()}")
    namespace.create()
    try:
        with netlink(namespace) as socket:
            loopback = link.get(socket, "lo").index
            for own in _addresses(HERE):
                address.put(socket, loopback, ip_interface(own))
            # Sent to itself, where nobody has the address: dropped without a word.
            route.put(socket, IPv4Network((NOWHERE, 16)), loopback)
        paths = NodePaths(directory / "bpf", directory / "state")
        state.make_directory(paths.state_dir)
        own = Family4(HERE + 1, HERE + 65535, IPv4Network("10.202.0.0/16"))
        NodeConfig("node1", ipv4=own, netns=namespace.name).save(paths)
        _know(paths, HERE)
        yield paths
    finally:
        namespace.delete()


def _know(paths: NodePaths, base: IPv4Address) -> None:
    known = [KnownNode(f"node{n}", ipv4=own) for n, own in enumerate(_addresses(base), 1)]
    state.write_json(paths.state_dir / "nodes.json", [node.document() for node in known])


def _addresses(base: IPv4Address) -> list[IPv4Address]:
    return [base + n for n in range(1, NODES + 1)]


@contextlib.contextmanager
def _responders(paths: NodePaths) -> Iterator[None]:
    own = [str(found) for found in _addresses(HERE)]
    pid_paths = [paths.state_dir / f"responder{n}.pid" for n in range(RESPONDERS)]
    try:
        for n, pid_path in enumerate(pid_paths):
            listen = [word for found in own[n::RESPONDERS] for word in ("--listen", found)]
            subprocess.run(
                own_command(paths, "health", "serve", "--detach", "--pidfile", str(pid_path), *listen), check=True
            )
        yield
    finally:
        for pid_path in pid_paths:
            pidfile.end(pid_path)


@contextlib.contextmanager
def _prober(paths: NodePaths) -> Iterator[int]:
    pid_path = paths.state_dir / "health.pid"
    subprocess.run(own_command(paths, "health", "run", "--detach", "--no-serve"), check=True)
    try:
        pid = pidfile.owner(pid_path)
        assert pid is not None
        yield pid
    finally:
        pidfile.end(pid_path)


def _round(client: Client, pid: int, timeout: float) -> tuple[float, float]:
    """Wall and CPU seconds of a round over everything."""
    start, before = time.perf_counter(), _cpu(pid)
    client.probe(timeout)
    return time.perf_counter() - start, _cpu(pid) - before


def _pings(paths: NodePaths) -> tuple[float, float]:
    namespace = NodeConfig.load(paths).namespace
    assert namespace is not None
    words = " ".join(map(str, _addresses(HERE)))
    script = f"echo {words} | xargs -n1 -P{os.cpu_count()} ping -qc1 >{os.devnull}"
    start, before = time.perf_counter(), os.times()
    namespace.run(["sh", "-c", script])
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu


def _cpu(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    """Peak memory in MB."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
