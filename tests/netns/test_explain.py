"""Real traffic explained, counted, saved and compared; programs taken away and missed."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from cilium_py.bpf.link import Link
from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.program import Program
from cilium_py.lab import Lab, build, teardown
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import lb_backends, lb_services
from cilium_py.net.namespace import NetNamespace, inside
from tests.netns.conftest import Cilium, cilium_on
from tests.netns.traffic import INET, address, listener, ping, socket_in, tcp

PORT, VIP, SERVICE_ID = 8080, IPv4Address("10.96.7.7"), 7


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = build.up(Lab.planned(1, 2, options={"enable_per_packet_lb": 1}))
    yield made
    teardown.down(made.root)


@pytest.fixture
def cilium(lab: Lab) -> Cilium:
    return cilium_on(lab, "node1")


def of(cilium: Cilium, *words: str, check: bool = True) -> Any:
    return json.loads(cilium(*words, "-o", "json", check=check).stdout)


def test_a_connection_is_one_flow_with_names(lab: Lab, cilium: Cilium) -> None:
    assert tcp(lab, "pod1", "pod2", INET, PORT)
    [flow] = of(cilium, "flow", "list", "--dport", str(PORT), "--proto", "TCP")
    assert (flow["source_labels"], flow["destination_labels"]) == (["container:pod=pod1"], ["container:pod=pod2"])
    assert (flow["source_endpoint"], flow["destination_endpoint"]) == (1, 2)
    assert flow["entries"] == ["OUT", "IN"]
    assert flow["state"] in ("CLOSED", "CLOSING", "RESET")


def test_policy_is_explained_by_map_and_by_program(cilium: Cilium) -> None:
    words = ("flow", "explain", "pod1", f"pod2:{PORT}")
    page = of(cilium, *words)
    assert page["allowed"]
    assert page["programs"]["allowed"]
    assert page["connections"]
    cilium("bpf", "policy", "add", "2", "ingress", "256", f"{PORT}/TCP", "--deny")
    try:
        page = of(cilium, *words)
        assert not page["allowed"]
        assert page["programs"] == {
            "allowed": False, "reason": "Policy denied by denylist", "direction": "ingress", "by_policy": True,
            "verdict": 2,
        }  # fmt: skip
        [ingress] = [each for each in page["policy"] if each["direction"] == "ingress"]
        assert ingress["entry"] == f"deny ingress container:pod=pod1 {PORT}/TCP"
        text = cilium(*words).stdout
        assert "denied by policy; the programs drop it: Policy denied by denylist (ingress)" in text
    finally:
        cilium("bpf", "policy", "delete", "2", "ingress", "256", f"{PORT}/TCP", "--yes")


@pytest.fixture
def service(lab: Lab) -> Iterator[None]:
    """10.96.7.7:80 in front of pod2."""
    pins, pod = lab.paths("node1").globals, address(lab, "pod2", INET)
    head = lb_services.Key4(address=VIP.packed, dport=80, proto=6)
    slot = lb_services.Key4(address=VIP.packed, dport=80, backend_slot=1, proto=6)
    written = {
        "cilium_lb4_services_v2": [
            (head.pack(), lb_services.Service(count=1, rev_nat_index=SERVICE_ID, flags=64).pack()),
            (slot.pack(), lb_services.Service(backend_id=1, rev_nat_index=SERVICE_ID).pack()),
        ],
        "cilium_lb4_backends_v3": [
            (lb_backends.Key(value=1).pack(),
             lb_backends.Backend4(address=IPv4Address(pod).packed, port=PORT, proto=6).pack()),
        ],
        "cilium_lb4_reverse_nat": [
            (SERVICE_ID.to_bytes(2, "big"), VIP.packed + (80).to_bytes(2, "big")),
        ],
    }  # fmt: skip
    for pin, entries in written.items():
        with BpfMap.open(pins / pin, read_only=False) as opened:
            for key, value in entries:
                opened.update(key, value)
    yield
    for pin, entries in written.items():
        with BpfMap.open(pins / pin, read_only=False) as opened:
            for key, _ in entries:
                opened.delete(key)


@pytest.mark.usefixtures("service")
def test_a_service_on_the_way(lab: Lab, cilium: Cilium) -> None:
    with listener(lab, "pod2", INET, socket.SOCK_STREAM, PORT) as server, socket_in(
        lab, "pod1", INET, socket.SOCK_STREAM
    ) as client:  # fmt: skip
        client.connect((str(VIP), 80))
        server.accept()[0].close()
    [flow] = [each for each in of(cilium, "flow", "list", "--not", "--proto", "ICMP") if each["service"] == str(VIP)]
    assert (flow["service_port"], flow["destination_port"]) == (80, PORT)
    assert flow["entries"] == ["OUT", "IN", "SVC"]
    page = of(cilium, "flow", "explain", "pod1", f"{VIP}:80")
    [found] = page["services"]
    assert [each["state"] for each in found["backends"]] == ["active"]
    assert {(each["service"], *each["entries"]) for each in page["connections"]} == {
        (str(VIP), "SVC"), (str(VIP), "OUT"), (None, "IN"),
    }  # fmt: skip
    assert [each["direction"] for each in page["policy"]] == ["egress", "ingress"]
    assert page["programs"]["allowed"]


def test_a_snapshot_of_the_node(lab: Lab, cilium: Cilium, tmp_path: Path) -> None:
    target = str(tmp_path / "node1.snap")
    assert ping(lab, "pod1", "pod2", INET)
    cilium("snapshot", "save", target)
    for words in ("flow list -o json", "identity list", "bpf policy get 1", "bpf endpoint list", "doctor attach"):
        recorded = cilium("--from", target, *words.split()).stdout
        if not words.startswith("flow"):
            assert recorded == cilium(*words.split()).stdout, words
        else:
            assert [each["source_labels"] for each in json.loads(recorded)]
    page = of(cilium, "--from", target, "flow", "explain", "pod1", "pod2")
    assert page["programs"] is None
    assert page["source"]["labels"] == ["container:pod=pod1"]
    assert page["allowed"]


def test_costs_of_programs_while_there_is_traffic(lab: Lab, cilium: Cilium) -> None:
    with inside(NetNamespace.named(lab.netns("pod1"))):
        pinging = subprocess.Popen(
            ["ping", "-q", "-i", "0.01", "-w", "8", address(lab, "pod2", INET)], stdout=subprocess.DEVNULL
        )
    try:
        rows = of(cilium, "bpf", "stats", "report", "--interval", "500ms")
    finally:
        pinging.terminate()
        pinging.wait()
    counted = {(row["program"], row["hook"], row["endpoint"]): row["runs"] for row in rows}
    assert counted["cil_from_container", "ingress", 1] > 5
    assert counted["cil_from_container", "ingress", 2] > 5
    assert all(row["average_ns"] > 0 for row in rows)
    for name in ("2", "pod2"):
        [only] = {
            (row["endpoint"], row["pod"]) for row in of(cilium, "bpf", "stats", "report", "--all", "--endpoint", name)
        }
        assert only == (2, "pod2")


class TestDoctor:
    """Each test breaks something, and the last regenerates."""

    def test_all_is_well(self, cilium: Cilium) -> None:
        found = of(cilium, "doctor", "attach")
        assert found["findings"] == []
        assert {(each["hook"], each["program"], each["endpoint"]) for each in found["attachments"]} == {
            (hook, program, endpoint)
            for hook, program in (("ingress", "cil_from_container"), ("egress", "cil_to_container"))
            for endpoint in (1, 2)
        }

    def test_a_pin_that_is_another_map(self, lab: Lab, cilium: Cilium) -> None:
        """What cilium/cilium issue 45196 is about."""
        pin = lab.paths("node1").globals / "cilium_ipcache_v2"
        with BpfMap.open(pin) as used, BpfMap.create(
            name=used.info.name, type=MapType(used.info.type), key_size=used.info.key_size,
            value_size=used.info.value_size, max_entries=64, flags=used.info.flags,
        ) as other:  # fmt: skip
            aside = lab.paths("node1").bpf_root / "aside"
            pin.rename(aside)
            other.pin(pin)
            done = cilium("doctor", "attach", check=False)
            pin.unlink()
            aside.rename(pin)
            assert done.returncode == 1
            assert f"with id {used.info.id} that is not pinned" in done.stdout
            assert f"cilium_ipcache_v2 (id {other.info.id})" in done.stdout
        assert cilium("doctor", "attach").returncode == 0

    def test_a_program_twice(self, lab: Lab, cilium: Cilium) -> None:
        """What cilium/cilium issue 44194 is about."""
        links = [lab.paths("node1").endpoint_links(endpoint) / "cil_from_container" for endpoint in (1, 2)]
        with Link.open(links[0]) as link, Link.open(links[1]) as other, Program.from_id(
            other.info.program_id
        ) as program:  # fmt: skip
            with inside(NetNamespace.named(lab.netns("node1"))):
                second = Link.tcx(program, link.info.ifindex, "ingress")
            with second:
                found = of(cilium, "doctor", "attach", check=False)["findings"]
        assert {(each["severity"], each["kind"]) for each in found} >= {("error", "doubled")}

    def test_a_program_that_is_gone(self, lab: Lab, cilium: Cilium) -> None:
        """What cilium/cilium issue 21345 is about."""
        (lab.paths("node1").endpoint_links(2) / "cil_from_container").unlink()
        done = cilium("doctor", "attach", check=False)
        assert done.returncode == 1
        assert "no program takes what endpoint 2 sends" in done.stdout
        cilium("endpoint", "regenerate", "2")
        assert cilium("doctor", "attach").returncode == 0
