"""Rules in force on real traffic: what they say, and that changing them breaks nothing that stays allowed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.endpoint import store
from cilium_py.endpoint.add import Request, add
from cilium_py.endpoint.delete import delete
from cilium_py.lab import Lab, build, command, teardown
from cilium_py.loader.pins import policy_pin
from cilium_py.net.namespace import NetNamespace
from cilium_py.policy import table
from tests.netns.conftest import LONG, Cilium, cilium_on
from tests.netns.traffic import BRIEF, INET, INET6, address, listener, ping, socket_in, tcp, udp

PORT = 8080
POD1, POD2, POD3 = {"pod": "pod1"}, {"pod": "pod2"}, {"pod": "pod3"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = build.up(Lab.planned(1, 3))
    yield made
    teardown.down(made.root)


@pytest.fixture
def cilium(lab: Lab) -> Iterator[Cilium]:
    cilium = cilium_on(lab, "node1")
    yield cilium
    cilium("policy", "delete", "--all", "--yes")
    forget_connections(lab)


def forget_connections(lab: Lab) -> None:
    for pin in lab.paths("node1").globals.glob("cilium_ct*_global"):
        with BpfMap.open(pin, read_only=False) as opened:
            for key in list(opened.keys()):
                opened.delete(key)


def rule(subject: dict[str, str], **sections: Any) -> dict[str, Any]:
    """A policy document named after nothing but itself, so that the next one takes its place."""
    spec = {"endpointSelector": {"matchLabels": subject}, **sections}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "rule"}, "spec": spec}


def endpoints(*labels: dict[str, str]) -> list[dict[str, Any]]:
    return [{"matchLabels": found} for found in labels]


def ports(first: int, protocol: str, last: int = 0) -> list[dict[str, Any]]:
    port = {"port": str(first), "protocol": protocol, **({"endPort": last} if last else {})}
    return [{"ports": [port]}]


def impose(cilium: Cilium, tmp_path: Path, *rules: dict[str, Any]) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(list(rules)))
    cilium("policy", "import", str(file))


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
def test_what_rules_say_holds_on_the_wire(lab: Lab, cilium: Cilium, tmp_path: Path, family: int) -> None:
    impose(cilium, tmp_path, rule(
        POD2,
        ingress=[
            {"fromEndpoints": endpoints(POD1), "toPorts": ports(PORT, "TCP")},
            {"icmps": [{"fields": [{"type": 8}, {"type": 128, "family": "IPv6"}]}]},
        ],
        ingressDeny=[{"fromEndpoints": endpoints(POD3)}],
    ))  # fmt: skip
    assert tcp(lab, "pod1", "pod2", family, PORT)
    assert not tcp(lab, "pod1", "pod2", family, PORT + 1, patience=BRIEF)
    assert not udp(lab, "pod1", "pod2", family, PORT, patience=BRIEF)
    assert ping(lab, "pod1", "pod2", family)
    assert not tcp(lab, "pod3", "pod2", family, PORT, patience=BRIEF)
    assert not ping(lab, "pod3", "pod2", family, patience=BRIEF)
    assert tcp(lab, "pod2", "pod3", family, PORT)


def test_addresses_of_the_world_by_cidr(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    world = address(lab, "world", INET)
    impose(cilium, tmp_path, rule(POD1, egress=[{"toCIDR": [f"{world}/32"]}]))
    assert udp(lab, "pod1", "world")
    assert not udp(lab, "pod1", "pod2", patience=BRIEF)
    forget_connections(lab)
    impose(cilium, tmp_path, rule(POD1, egress=[{"toCIDRSet": [{"cidr": "172.30.0.0/16", "except": [f"{world}/32"]}]}]))
    assert not udp(lab, "pod1", "world", patience=BRIEF)
    listed = json.loads(cilium("identity", "list", "-o", "json").stdout)
    assert [row["labels"][0] for row in listed if row["kind"] == "cidr"] == [f"cidr:{world}/32", "cidr:172.30.0.0/16"]
    cilium("policy", "delete", "--all", "--yes")
    assert udp(lab, "pod1", "world")
    assert "cidr:" not in cilium("identity", "list").stdout
    assert world not in cilium("bpf", "ipcache", "list").stdout


def test_a_regeneration_makes_good_what_the_ipcache_lost(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    """As when the maps are new, after a reboot."""
    world = address(lab, "world", INET)
    impose(cilium, tmp_path, rule(POD1, egress=[{"toCIDR": [f"{world}/32"]}]))
    cilium("bpf", "ipcache", "delete", f"{world}/32", "--yes")
    assert not udp(lab, "pod1", "world", patience=BRIEF)
    cilium("endpoint", "regenerate", str(lab.pod("pod1").endpoint))
    assert udp(lab, "pod1", "world")


@dataclass
class Callers:
    """New flows all the time, from a pod that both revisions allow and from one that both deny."""

    lab: Lab
    lost: list[int] = field(default_factory=list)
    sent: int = 0
    intruders: int = 0

    def __enter__(self) -> Callers:
        self._server = listener(self.lab, "pod2", INET, socket.SOCK_DGRAM, PORT, BRIEF)
        self._stop, self._silence = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._call, self._intrude, self._serve)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        *callers, server = self._threads
        self._stop.set()
        for thread in callers:
            thread.join()
        # Only now: the last call is still to be answered.
        self._silence.set()
        server.join()
        self._server.close()

    def _serve(self) -> None:
        intruder = address(self.lab, "pod3", INET)
        while not self._silence.is_set():
            try:
                data, peer = self._server.recvfrom(16)
            except TimeoutError:
                continue
            self.intruders += peer[0] == intruder
            self._server.sendto(data, peer)

    def _call(self) -> None:
        target = (address(self.lab, "pod2", INET), PORT)
        while not self._stop.is_set():
            with socket_in(self.lab, "pod1", INET, socket.SOCK_DGRAM) as client:
                # Late on a busy machine is not lost.
                client.settimeout(5)
                client.sendto(b"hello", target)
                self.sent += 1
                try:
                    client.recv(16)
                except TimeoutError:
                    self.lost.append(self.sent)

    def _intrude(self) -> None:
        target = (address(self.lab, "pod2", INET), PORT)
        while not self._stop.is_set():
            with socket_in(self.lab, "pod3", INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"let me in", target)
            time.sleep(0.001)


ALTERNATIVES = [
    {"ingress": [{"fromEndpoints": endpoints(POD1)}]},
    {"ingress": [{"toPorts": ports(PORT, "UDP")}], "ingressDeny": [{"fromEndpoints": endpoints(POD3)}]},
    {"ingress": [{"fromEndpoints": endpoints(POD1), "toPorts": ports(8000, "UDP", 8999)}]},
    {
        "ingress": [{"fromEntities": ["all"]}],
        "ingressDeny": [{"fromEndpoints": endpoints(POD3), "toPorts": ports(0, "UDP")}],
    },
    {
        "ingressDeny": [
            {"fromEndpoints": [{"matchExpressions": [{"key": "pod", "operator": "In", "values": ["pod3"]}]}]}
        ],
        "enableDefaultDeny": {"ingress": False},
    },
]


def test_what_all_revisions_agree_on_holds_while_they_change(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[0]))
    with Callers(lab) as callers:
        for sections in ALTERNATIVES * (6 if LONG else 2):
            impose(cilium, tmp_path, rule(POD2, **sections))
    assert callers.sent > 100
    assert callers.lost == []
    assert callers.intruders == 0


def test_a_map_grows_under_traffic(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    """More entries than the map has room for: a larger one takes its place, and no packet falls in between."""
    paths, pod2 = lab.paths("node1"), lab.pod("pod2").endpoint
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[0]))
    # Each of these ranges takes four entries, for each of ten identities.
    many = [{"fromEntities": ["cluster"], "toPorts": [{"ports": [
        {"port": str(1 + 8 * n), "endPort": 6 + 8 * n, "protocol": "TCP"} for n in range(40 * part, 40 * part + 40)
    ]}]} for part in range(12)]  # fmt: skip
    with Callers(lab) as callers:
        impose(cilium, tmp_path, rule(POD2, ingress=[*ALTERNATIVES[0]["ingress"], *many]))
    with BpfMap.open(policy_pin(paths, pod2)) as grown:
        entries = len(table.read(grown))
        assert entries > 1 << 14
        assert grown.info.max_entries >= 2 * entries
    assert callers.lost == []
    assert callers.intruders == 0
    assert [pin.name for pin in paths.globals.glob(f"cilium_policy_v2_{pod2:05d}*")] == [policy_pin(paths, pod2).name]


def test_the_map_of_an_endpoint(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    """`policy get` with a number is `bpf policy get`."""
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[0]))
    endpoint = str(lab.pod("pod2").endpoint)
    for words in ([endpoint], [endpoint, "-n", "-o", "json"], ["--all"]):
        assert cilium("policy", "get", *words).stdout == cilium("bpf", "policy", "get", *words).stdout != ""


def test_too_many_entries_change_nothing(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[0]))
    before = cilium("policy", "get").stdout
    odd = [{"port": str(1 + 1500 * n), "endPort": 1498 + 1500 * n} for n in range(40)]
    wide = [{"fromCIDR": [f"198.18.{n}.0/24"], "toPorts": [{"ports": odd}]} for n in range(60)]
    file = tmp_path / "wide.json"
    file.write_text(json.dumps([rule(POD2, ingress=wide)]))
    done = cilium("policy", "import", str(file), check=False)
    assert done.returncode == 1
    assert "65536: rule: ingress[" in done.stderr
    assert cilium("policy", "get").stdout == before
    assert "198.18" not in cilium("bpf", "ipcache", "list").stdout
    assert udp(lab, "pod1", "pod2")


def test_a_new_identity_reaches_the_policies_that_select_it(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    impose(cilium, tmp_path, rule(POD2, ingress=[{"fromEndpoints": endpoints({"team": "late"})}]))
    paths = lab.paths("node1")
    namespace = NetNamespace.named(lab.netns("late"))
    namespace.create()
    try:
        late = add(paths, Request(name="late", netns=namespace.name, labels=("team=late",)))
        with BpfMap.open(policy_pin(paths, lab.pod("pod2").endpoint)) as opened:
            assert late.identity in {key.identity for key in table.read(opened)}
        delete(paths, late.id)
        with BpfMap.open(policy_pin(paths, lab.pod("pod2").endpoint)) as opened:
            assert late.identity not in {key.identity for key in table.read(opened)}
    finally:
        namespace.delete()


def test_an_import_that_is_killed_is_completed_by_the_next(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    """At whatever moment: the traffic that is allowed goes on, and the same import again ends well."""
    environment = {**os.environ, **command.environment(lab, "node1")}
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[0]))
    with Callers(lab) as callers:
        for step in range(0, 12, 1 if LONG else 2):
            file = tmp_path / "rules.json"
            file.write_text(json.dumps([rule(POD2, **ALTERNATIVES[step // (1 if LONG else 2) % len(ALTERNATIVES)])]))
            words = [sys.executable, "-m", "cilium_py", "policy", "import", str(file)]
            process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.05 + 0.03 * step)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert callers.lost == []
    assert callers.intruders == 0
    impose(cilium, tmp_path, rule(POD2, **ALTERNATIVES[1]))
    revision = json.loads(cilium("policy", "get", "-o", "json").stdout)["revision"]
    cilium("policy", "wait", str(revision), "--max-wait-time", "0")
    assert {endpoint.policy.revision for endpoint in store.all(lab.paths("node1"))} == {revision}


def test_the_programs_answer_a_trace_as_the_rules_do(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    impose(cilium, tmp_path, rule(POD2, ingress=[{"fromEndpoints": endpoints(POD1), "toPorts": ports(PORT, "TCP")}]))
    connections = cilium("bpf", "ct", "list", "global", "-o", "json").stdout
    for sender, target, allowed in (
        ("pod1", f"pod2:{PORT}", True),
        ("pod1", "pod2:81", False),
        ("pod3", f"pod2:{PORT}", False),
        ("pod1", f"[{lab.pod('pod2').ipv6}]:{PORT}/TCP", True),
        ("192.0.2.1", f"pod2:{PORT}", False),
        ("pod2", "192.0.2.1:53/UDP", True),
    ):
        traced = json.loads(cilium("policy", "trace", "--from", sender, "--to", target, "-o", "json").stdout)
        assert (traced["allowed"], traced["programs"]["allowed"]) == (allowed, allowed), (sender, target)
    same = [
        row
        for row in json.loads(cilium("bpf", "ct", "list", "global", "-o", "json").stdout)
        if row["destination_port"] in (PORT, 53, 81)
    ]
    assert same == [row for row in json.loads(connections) if row["destination_port"] in (PORT, 53, 81)]
