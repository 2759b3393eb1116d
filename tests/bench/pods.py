"""Two pods through our programs against two namespaces joined by a plain router, taken in turns."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, ip_network
from pathlib import Path

from cilium_py.bpf import stats
from cilium_py.bpf.link import Link
from cilium_py.bpf.program import Program
from cilium_py.lab import Lab, build, command, teardown
from cilium_py.net import address, link, route, sysctl
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from tests.bench import measure

TITLE = "Pod to pod on one node"
PREFIX = "cpb-"
ROUNDS, SECONDS = 5, 1
ONE_CPU = ("taskset", "-c", "0")
"""Both ends of a round trip share a CPU: across two, waking an idle one is most of what is measured."""

PROGRAMS = ("cil_from_container", "cil_to_container")


@dataclass(frozen=True)
class Pair:
    """A client, a server, and the server's address."""

    client: NetNamespace
    server: NetNamespace
    address: str


def run() -> str:
    measure.private_run()
    with our_pods() as (ours, lab), plain_pods() as plain:
        rates: dict[str, list[float]] = {"ours": [], "plain": []}
        trips: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(ROUNDS):
            for name, pair in (("ours", ours), ("plain", plain)):
                rates[name].append(stream(pair))
                trips[name].append(round_trip(pair))
        costs = program_costs(lab, lambda: round_trip(ours))
    return "\n\n".join([
        "TCP between two pods of one node, through `cil_from_container`, conntrack, both policies and redirect to the "
        f"peer, against two namespaces joined by a router of two plain veth pairs; medians of {ROUNDS} runs of "
        f"{SECONDS} s, taken in turns. Both ends of a round trip share a CPU.",
        measure.table(["", "our programs", "plain routed veth", "ratio"], [
            comparison("stream, Gbit/s (iperf3)", rates),
            comparison("round trip, median us (sockperf ping-pong, TCP)", trips),
        ]),
        "What the kernel's run-time statistics count during the round trips (every tail call included):",
        measure.table(["program", "runs", "ns a packet"], costs),
    ])  # fmt: skip


def comparison(title: str, figures: dict[str, list[float]]) -> list[object]:
    ours, plain = statistics.median(figures["ours"]), statistics.median(figures["plain"])
    return [title, ours, plain, ours / plain]


@contextlib.contextmanager
def our_pods() -> Iterator[tuple[Pair, Lab]]:
    with small_lab() as lab:
        client, server = (command.namespace(lab, name) for name in ("pod1", "pod2"))
        yield Pair(client, server, lab.pod("pod2").ipv4), lab


@contextlib.contextmanager
def small_lab() -> Iterator[Lab]:
    """A node with two pods, IPv4 only."""
    with tempfile.TemporaryDirectory() as directory:
        lab = build.up(Lab.planned(1, 2, root=Path(directory) / "lab", prefix=PREFIX, ipv6=False))
        try:
            yield lab
        finally:
            teardown.down(lab.root)


@contextlib.contextmanager
def attached(lab: Lab, pod: str, name: str) -> Iterator[Program]:
    """A program of a pod, by its pinned link."""
    pin = lab.paths(lab.pod(pod).node).endpoint_links(lab.pod(pod).endpoint) / name
    with Link.open(pin) as pinned, Program.from_id(pinned.info.program_id) as program:
        yield program


@contextlib.contextmanager
def plain_pods() -> Iterator[Pair]:
    """A router with a veth pair to either side and IP forwarding: what our programs stand in the place of."""
    router, left, right = (NetNamespace.named(f"{PREFIX}{name}") for name in ("router", "left", "right"))
    with contextlib.ExitStack() as stack:
        for namespace in (router, left, right):
            namespace.create()
            stack.callback(namespace.delete)
        with netlink(router) as socket:
            sysctl.write("ipv4/ip_forward", 1)
            for number, namespace in enumerate((left, right), 1):
                link.create_veth(socket, f"side{number}", "eth0", peer_namespace=namespace)
                index = link.get(socket, f"side{number}").index
                link.set_up(socket, index)
                address.put(socket, index, IPv4Interface(f"10.250.{number}.1/24"))
        for number, namespace in enumerate((left, right), 1):
            with netlink(namespace) as socket:
                index = link.get(socket, "eth0").index
                link.set_up(socket, index)
                own = IPv4Interface(f"10.250.{number}.2/24")
                address.put(socket, index, own)
                route.put(socket, ip_network("0.0.0.0/0"), index, gateway=own.network[1])
        yield Pair(left, right, "10.250.2.2")


@contextlib.contextmanager
def serving(pair: Pair, *server: str) -> Iterator[None]:
    process = pair.server.spawn(server)
    time.sleep(0.3)
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def stream(pair: Pair) -> float:
    """Gbit/s that arrive."""
    with serving(pair, "iperf3", "-s"):
        done = ended(pair.client.run(["iperf3", "-J", "-t", str(SECONDS), "-c", pair.address]))
    return float(json.loads(done)["end"]["sum_received"]["bits_per_second"]) / 1e9


def round_trip(pair: Pair) -> float:
    """The median round trip in microseconds."""
    with serving(pair, *ONE_CPU, "sockperf", "server", "--tcp", "-i", pair.address):
        words = [*ONE_CPU, "sockperf", "ping-pong", "--tcp", "--full-rtt", "-t", str(SECONDS), "-i", pair.address]
        done = ended(pair.client.run(words))
    found = re.search(r"percentile 50\.000 =\s*([0-9.]+)", done)
    if not found:
        raise RuntimeError(done)
    return float(found[1])


def ended(process: subprocess.CompletedProcess[str]) -> str:
    if process.returncode:
        raise RuntimeError(f"{process.args}: {process.stdout}{process.stderr}")
    return process.stdout


def program_costs(lab: Lab, load: Callable[[], object]) -> list[list[object]]:
    """[program, runs, ns a run] of pod1's programs while the load runs."""
    rows: list[list[object]] = []
    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(attached(lab, "pod1", name)) for name in PROGRAMS}
        stack.enter_context(stats.enable_stats())
        before = {name: stats.run_time(program) for name, program in opened.items()}
        load()
        for name, program in opened.items():
            spent = stats.run_time(program) - before[name]
            rows.append([f"`{name}`", spent.runs, spent.ns_per_run])
    return rows
