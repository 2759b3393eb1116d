"""Rules: how long a thousand identities under fifty rules take, and what their entries cost a packet."""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cilium_py.bpf.map import BpfMap
from cilium_py.endpoint import store
from cilium_py.endpoint.model import Endpoint
from cilium_py.lab import Lab, command
from cilium_py.loader import state
from cilium_py.loader.pins import policy_pin
from cilium_py.node.config import NodeConfig
from cilium_py.policy import document, parse, realize, repository, table
from cilium_py.policy.repository import Repository
from tests.bench import measure
from tests.bench.pods import attached, small_lab

TITLE = "Rules"
IDENTITIES, RULES, PACKETS, RUNS = 1000, 50, 4000, 5
FIRST_IDENTITY, FIRST_PORT, STRIDE = 1000, 1000, 7
SYN = 0x02


def run() -> str:
    measure.private_run()
    with small_lab() as lab:
        paths, pod1 = lab.paths("node1"), lab.pod("pod1").endpoint
        endpoint, node = store.load(paths, pod1), NodeConfig.load(paths)
        without = packet(lab, endpoint)
        populate(lab)
        first = milliseconds(lambda: install(lab, Repository(), rules(RULES)))
        current = repository.load(paths)
        calculated = [milliseconds(lambda: realize.calculate_by(current, paths, node, endpoint)) for _ in range(RUNS)]
        unchanged = [milliseconds(lambda: list(realize.refresh(paths, [pod1]))) for _ in range(RUNS)]
        with BpfMap.open(policy_pin(paths, pod1)) as entered:
            entries, room = len(table.read(entered)), entered.info.max_entries
        with_rules = packet(lab, endpoint)
        one_less = milliseconds(lambda: install(lab, current, rules(RULES - 1)))
    figures = [
        ["rules to entries, identities read from disk", statistics.median(calculated)],
        ["import: checked, stored, programs replaced over a larger map, entries written", first],
        ["import of one rule less: one entry an identity deleted, the others not touched", one_less],
        ["looked at again, nothing to change", statistics.median(unchanged)],
    ]
    packets = [["none", *without], [f"{entries:,} entries", *with_rules]]
    return "\n\n".join([
        f"{IDENTITIES:,} identities and {RULES} rules that each allow all of them one port, at one of the node's two "
        f"endpoints: {entries:,} entries, in a map that grew to {room:,}.",
        measure.table(["step", "ms"], figures),
        f"The first packet of a connection, from pod to pod with its conntrack entries made, one test run a packet, "
        f"{PACKETS:,} packets:",
        measure.table(["policy at the sender", "best, ns", "median, ns"], packets),
    ])  # fmt: skip


def populate(lab: Lab) -> None:
    """Let the lab know more identities than it has pods, as a cluster's nodes do."""
    file = lab.identities / "identities.json"
    known = {
        found.number: found for found in NodeConfig.load(lab.paths("node1")).identity_store(lab.paths("node1")).all()
    }
    made = {
        n: ("container:team=a", f"container:member={n}") for n in range(FIRST_IDENTITY, FIRST_IDENTITY + IDENTITIES)
    }
    state.write_json(file, {
        **{str(n): {"labels": list(found.labels), "users": sorted(found.users)} for n, found in known.items()},
        **{str(n): {"labels": list(labels), "users": ["elsewhere"]} for n, labels in made.items()},
    })  # fmt: skip


def rules(count: int) -> list[dict[str, Any]]:
    """Each rule allows pod1 to reach the whole team, and pod2, on one port."""
    peers = [{"matchLabels": {"team": "a"}}, {"matchLabels": {"pod": "pod2"}}]
    return [
        {
            "endpointSelector": {"matchLabels": {"pod": "pod1"}},
            "labels": [f"number={number}"],
            "egress": [
                {
                    "toEndpoints": peers,
                    "toPorts": [{"ports": [{"port": str(FIRST_PORT + STRIDE * number), "protocol": "TCP"}]}],
                }
            ],
        }
        for number in range(count)
    ]


def install(lab: Lab, current: Repository, wanted: list[dict[str, Any]]) -> None:
    written = parse.parse_file([document.of_plain(wanted, "rules")])
    with repository.locked(lab.paths("node1")):
        list(realize.install(lab.paths("node1"), current.replace(list(current.written), written)))


def milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def packet(lab: Lab, client: Endpoint) -> tuple[int, float]:
    """(best, median) ns of a TCP SYN from a source port that was not used before."""
    server = store.load(lab.paths("node1"), lab.pod("pod2").endpoint)
    assert client.ipv4 is not None
    assert server.ipv4 is not None
    ethernet = client.interface_mac[:6] + client.pod_mac[:6] + b"\x08\x00"
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, client.ipv4.packed, server.ipv4.packed)
    context = struct.pack("<9I2I5I", *[0] * 9, client.interface_index, client.interface_index, *[0] * 5)
    with ExitStack() as stack:
        stack.enter_context(command.namespace(lab, "node1").entered())
        program = stack.enter_context(attached(lab, "pod1", "cil_from_container"))
        times = []
        for port in range(20000, 20000 + PACKETS):
            segment = struct.pack("!HHIIBBHHH", port, FIRST_PORT, 1, 0, 0x50, SYN, 512, 0, 0)
            times.append(program.test_run(ethernet + ip + segment, context).duration_ns)
    forget(lab)
    return min(times), statistics.median(times)


def forget(lab: Lab) -> None:
    for pin in lab.paths("node1").globals.glob("cilium_ct*4_global"):
        with BpfMap.open(pin, read_only=False) as connections:
            for _ in connections.take_batches():
                pass
