"""Flows, explanations and the health of NAT, on real maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cilium_py.cli.main import main
from cilium_py.explain.flows import fields
from cilium_py.explain.known import Known
from cilium_py.explain.nat import Diagnosis, diagnose
from cilium_py.maps import ct
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, TUPLE_RELATED, TUPLE_SERVICE
from cilium_py.paths import NodePaths
from cilium_py.schema import Struct
from cilium_py.schema.text import ip
from cilium_py.select import rows
from cilium_py.select.expression import parse
from tests.kernel.node import (
    BACKEND_ID,
    CLIENT,
    NODE,
    SERVER,
    SERVICE_ID,
    VIP,
    WORLD,
    Entries,
    all_flows,
    explained,
    mapped,
    pin,
    small_node,
    tracked,
    tuple_of,
)  # fmt: skip


@pytest.fixture
def pins(bpffs: Path) -> Path:
    return small_node(bpffs)


def examined(pins: Path) -> Diagnosis:
    with Known(pins, NodePaths(state_dir=pins / "state")) as known:
        return diagnose(known)


def test_a_connection_through_a_service_is_one_flow(pins: Path) -> None:
    through = {"rev_nat_index": SERVICE_ID, "flags": 1 << 4}
    pin(pins, "cilium_ct4_global", [
        (tuple_of(CLIENT, 4000, VIP, 80, TUPLE_SERVICE), tracked(**through, backend_id=BACKEND_ID)),
        (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_OUT), tracked(**through)),
        (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_IN), tracked()),
    ])  # fmt: skip
    [found] = all_flows(pins)
    assert (ip(found.source), found.source_port) == ("10.0.0.1", 4000)
    assert (found.service, found.service_port) == (VIP, 80)
    assert (found.destination, found.destination_port) == (SERVER, 8080)
    assert found.entries == ["OUT", "IN", "SVC"]
    assert (found.state, found.remaining, found.expires) == ("ESTABLISHED", 60, "2001-09-09T01:47:40Z")
    assert (found.source_endpoint, found.destination_endpoint) == (1, 2)
    assert (found.source_identity, found.destination_identity) == (256, 257)
    assert found.source_labels == []


def test_what_stands_alone_is_shown_alone(pins: Path) -> None:
    served = {"rev_nat_index": SERVICE_ID}
    pin(pins, "cilium_ct4_global", [
        (tuple_of(CLIENT, 4001, VIP, 80, TUPLE_SERVICE), tracked(**served, backend_id=BACKEND_ID)),
        (tuple_of(CLIENT, 4002, VIP, 80, TUPLE_SERVICE), tracked(**served, backend_id=99)),
        (tuple_of(WORLD, 5000, SERVER, 8080, TUPLE_IN), tracked(src_sec_id=2)),
        (tuple_of(CLIENT, 4003, WORLD, 443, TUPLE_OUT), tracked(src_sec_id=256)),
    ])  # fmt: skip
    found = {row.source_port: row for row in all_flows(pins)}
    assert {port: row.entries for port, row in found.items()} == {
        4001: ["SVC"], 4002: ["SVC"], 5000: ["IN"], 4003: ["OUT"],
    }  # fmt: skip
    assert found[4001].destination == SERVER
    assert found[4002].destination is None
    assert found[5000].source_labels == ["reserved:world"]
    assert found[4003].destination_labels == ["reserved:world"]


def test_a_translation_is_part_of_its_flow(pins: Path) -> None:
    pin(pins, "cilium_ct4_global", [(tuple_of(CLIENT, 4000, WORLD, 443, TUPLE_OUT), tracked())])
    pin(pins, "cilium_snat_v4_external", [mapped(CLIENT, 4000, WORLD, 443, TUPLE_OUT, NODE, 50000)])
    [found] = all_flows(pins)
    assert (found.nat_address, found.nat_port) == (NODE, 50000)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(bpffs: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def said(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main(["--bpf-root", str(bpffs), "--state-dir", str(bpffs / "state"), *words])
        assert isinstance(stop.value.code, int)
        return stop.value.code, capfd.readouterr().out

    return said


MIXED: Entries = [
    (tuple_of(CLIENT, 4000, VIP, 80, TUPLE_SERVICE), tracked(rev_nat_index=SERVICE_ID, backend_id=BACKEND_ID)),
    (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_OUT), tracked(rev_nat_index=SERVICE_ID, packets=9, flags=1 << 4)),
    (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_IN), tracked(packets=2)),
    (tuple_of(CLIENT, 4001, VIP, 80, TUPLE_SERVICE), tracked(rev_nat_index=SERVICE_ID, backend_id=BACKEND_ID)),
    (tuple_of(CLIENT, 4002, VIP, 80, TUPLE_SERVICE), tracked(rev_nat_index=SERVICE_ID, backend_id=99)),
    (tuple_of(CLIENT, 4003, WORLD, 443, TUPLE_OUT), tracked(packets=1, last_tx_report=990)),
    (tuple_of(CLIENT, 4003, WORLD, 443, TUPLE_OUT | TUPLE_RELATED), tracked()),
    (tuple_of(SERVER, 8080, CLIENT, 5000, TUPLE_OUT), tracked(packets=7, lifetime=0xFFFFFFFF)),
    (tuple_of(SERVER, 8080, CLIENT, 5000, TUPLE_IN), tracked(packets=8)),
    (tuple_of(WORLD, 6000, SERVER, 8080, TUPLE_IN, 17), tracked()),
]


@pytest.mark.parametrize("where", [
    "source == 10.0.0.1", "source_port in 4000-4001", "destination == 10.0.0.2",
    "not (destination == 10.96.0.1 or related)",
    "not destination == 10.0.0.2", "destination_port == 8080 and packets > 2", "not (packets > 2)", "packets > 2",
    "service == 10.96.0.1", "nat_port == 50000", "nat_address == none", 'state == "SYN-SENT"', "related",
    "not related and protocol == TCP", "entries has IN", "rev_nat == 7", "backend_id == 99", "packets < rev_nat",
    "source == destination or destination_port == 443", "remaining < 2m", "idle > 20s", "idle < 20s",
    "destination_endpoint == 2", "not (source_port < destination_port)",
])  # fmt: skip
def test_what_is_selected_before_entries_are_joined_is_what_is_selected_after(where: str, pins: Path) -> None:
    pin(pins, "cilium_ct4_global", MIXED)
    pin(pins, "cilium_snat_v4_external", [mapped(CLIENT, 4003, WORLD, 443, TUPLE_OUT, NODE, 50000)])
    node = parse(where, fields())
    every, wanted = all_flows(pins), all_flows(pins, node)
    assert len(every) == 7
    test = rows.test_of(node)
    chosen = [row for row in every if test(row)]
    assert 0 < len(chosen) < len(every)
    assert [row for row in wanted if test(row)] == chosen


def test_the_wide_form_of_a_list_is_the_list_of_flows(pins: Path, run: Run) -> None:
    pin(pins, "cilium_ct4_global", MIXED)
    pin(pins, "cilium_per_cluster_ct_tcp4_3", MIXED[3:5])
    wide = "ct", "list", "global", "-o", "wide"
    for words in ((), ("--src", "10.0.0.1", "--dir", "IN"), ("--sort", "packets:desc", "--limit", "2"), ("--count",)):
        code, text = run(*wide, *words)
        assert (code, text) == run("flow", "list", *words)
        assert code == 0
    code, text = run(*wide, "--state", "ESTABLISHED")
    assert "10.0.0.1:4000 -> 10.96.0.1:80 -> 10.0.0.2:8080   ESTABLISHED" in text
    assert run("ct", "list", "cluster", "3", "-o", "wide", "--count") == (0, "2\n")
    assert run("ct", "list", "global", "-o", "wide", "--older-than", "3s")[0] == 2
    assert run("--compat", "ct", "list", "global", "-o", "wide")[0] == 2


def test_a_page_about_a_service(pins: Path) -> None:
    through = {"rev_nat_index": SERVICE_ID}
    pin(pins, "cilium_ct4_global", [
        (tuple_of(CLIENT, 4000, VIP, 80, TUPLE_SERVICE), tracked(**through, backend_id=BACKEND_ID)),
        (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_OUT), tracked(**through)),
        (tuple_of(CLIENT, 4000, SERVER, 8080, TUPLE_IN), tracked()),
        (tuple_of(CLIENT, 4001, SERVER, 8080, TUPLE_IN), tracked()),
        (tuple_of(CLIENT, 4000, SERVER, 9999, TUPLE_OUT), tracked()),
        (tuple_of(CLIENT, 4000, WORLD, 80, TUPLE_OUT), tracked()),
    ])  # fmt: skip
    found = explained(pins, "10.0.0.1", "10.96.0.1:80", 6)
    [service] = found.services
    assert [(each.state, each.address) for each in service.backends] == [("active", SERVER), ("missing", None)]
    assert sorted(each.entries[0] for each in found.connections) == ["IN", "OUT", "SVC"]
    assert {each.source_port for each in found.connections} == {4000}
    assert found.source.endpoint == 1
    assert found.destination.endpoint is None


def test_a_service_at_another_port_and_one_without_backends(pins: Path, run: Run) -> None:
    found = explained(pins, "10.0.0.1", "10.96.0.1:81", 6)
    assert (found.services, found.other_frontends) == ([], ["80/TCP"])
    assert "Service: none here, but at 80/TCP" in run("flow", "explain", "10.0.0.1", "10.96.0.1:81")[1]
    (pins / "cilium_lb4_backends_v3").unlink()
    code, text = run("flow", "explain", "10.0.0.1", "10.96.0.1:80")
    assert code == 0
    assert "A new packet: dropped, for the service has no active backend" in text
    code, text = run("flow", "explain", "10.96.0.1:80", "10.0.0.1")
    assert "From:  10.96.0.1:80  a service" in text
    assert "A new packet: none comes from a service; ask the other way round" in text


def test_what_the_ipcache_does_not_have_is_the_world(pins: Path) -> None:
    assert explained(pins, "1", "198.51.100.7").destination.identity == 2
    assert explained(pins, "fd00::1", "fd00::7").destination.labels == ["reserved:world-ipv6"]


def test_ports_and_protocol_narrow_the_page(pins: Path) -> None:
    pin(pins, "cilium_ct4_global", [
        (tuple_of(CLIENT, 4000, SERVER, 80, TUPLE_OUT), tracked()),
        (tuple_of(CLIENT, 4001, SERVER, 80, TUPLE_OUT), tracked()),
        (tuple_of(CLIENT, 4000, SERVER, 81, TUPLE_OUT), tracked()),
        (tuple_of(SERVER, 80, CLIENT, 4000, TUPLE_OUT), tracked()),
    ])  # fmt: skip
    count = {
        words: len(explained(pins, *words).connections)
        for words in (("10.0.0.1", "10.0.0.2"), ("10.0.0.1:4000", "10.0.0.2"), ("10.0.0.1:4000", "10.0.0.2:80"))
    }
    assert list(count.values()) == [4, 3, 2]
    assert explained(pins, "10.0.0.1", "10.0.0.2", 17).connections == []


def test_translations_on_a_page_are_paired_or_not(pins: Path) -> None:
    pin(pins, "cilium_snat_v4_external", [
        mapped(CLIENT, 4000, WORLD, 443, TUPLE_OUT, NODE, 50000),
        mapped(WORLD, 443, NODE, 50000, TUPLE_IN, CLIENT, 4000),
        mapped(CLIENT, 4001, WORLD, 443, TUPLE_OUT, NODE, 50001),
    ])  # fmt: skip
    found = explained(pins, "1", "198.51.100.7")
    assert {(each.source_port, each.paired) for each in found.translations} == {(4000, True), (4001, False)}


def out(source: bytes, sport: int, port: int) -> tuple[Struct, Struct]:
    return mapped(source, sport, WORLD, 443, TUPLE_OUT, NODE, port)


def back(port: int, into: bytes, dport: int) -> tuple[Struct, Struct]:
    return mapped(WORLD, 443, NODE, port, TUPLE_IN, into, dport)


class Nat(NamedTuple):
    """A NAT table, the connections of conntrack, and the counts that are not zero."""

    title: str
    entries: Entries
    connections: Entries
    counts: dict[str, int]
    is_ill: bool = False


KNOWN = [(tuple_of(CLIENT, 4000, WORLD, 443, TUPLE_OUT), tracked())]
NATS = [
    Nat("a pair", [out(CLIENT, 4000, 50000), back(50000, CLIENT, 4000)], KNOWN,
        {"entries": 2, "outgoing": 1, "incoming": 1, "paired": 1}),
    Nat("without its reverse", [out(CLIENT, 4000, 50000)], KNOWN,
        {"entries": 1, "outgoing": 1, "missing_reverse": 1}, True),
    Nat("without what it answers", [back(50000, CLIENT, 4000)], KNOWN,
        {"entries": 1, "incoming": 1, "orphan_reverse": 1}),
    Nat("answers to somebody else", [out(CLIENT, 4000, 50000), back(50000, SERVER, 4000)], KNOWN,
        {"entries": 2, "outgoing": 1, "incoming": 1, "paired": 1, "mismatched": 1}, True),
    Nat("without a connection", [out(CLIENT, 4001, 50001), back(50001, CLIENT, 4001)], KNOWN,
        {"entries": 2, "outgoing": 1, "incoming": 1, "paired": 1, "without_connection": 1}),
    Nat("direct server return", [out(SERVER, 8080, 80)],
        [(ct.Key4(daddr=WORLD, saddr=SERVER, dport=8080, sport=443, nexthdr=6), tracked(flags=1 << 7))],
        {"entries": 1, "outgoing": 1, "direct_return": 1}),
]  # fmt: skip


@pytest.mark.parametrize("case", NATS, ids=lambda case: case.title)
def test_the_health_of_nat(case: Nat, pins: Path) -> None:
    pin(pins, "cilium_snat_v4_external", case.entries)
    pin(pins, "cilium_ct4_global", case.connections)
    found = examined(pins)
    [table] = found.tables
    counts = {name: count for name, count in table._asdict().items() if count and name not in ("map", "max_entries")}
    assert counts == case.counts
    assert found.is_ill == case.is_ill
    named = sum(case.counts.get(name, 0) for name in (
        "missing_reverse", "orphan_reverse", "mismatched", "without_connection",
    ))  # fmt: skip
    assert len(found.problems) == named


def test_ports_in_use_and_by_whom(pins: Path) -> None:
    entries = [out(CLIENT, 4000 + n, 40000 + n) for n in range(20)] + [out(SERVER, 9, 45000), out(SERVER, 10, 1000)]
    pin(pins, "cilium_snat_v4_external", entries)
    [use] = examined(pins).ports
    assert (use.egress, use.remote, use.remote_port, use.protocol) == (NODE, WORLD, 443, "TCP")
    assert (use.used, use.available, use.pressure) == (21, 32768, 0.0006)
    assert [(each.address, each.ports) for each in use.sources] == [(CLIENT, 20), (SERVER, 1)]


def test_the_commands(pins: Path, run: Run) -> None:
    pin(pins, "cilium_ct4_global", KNOWN)
    pin(pins, "cilium_snat_v4_external", [out(CLIENT, 4000, 50000)])
    code, text = run("flow", "list")
    assert code == 0
    assert "10.0.0.1:4000 (as 192.0.2.1:50000) -> 198.51.100.7:443" in text
    code, text = run("flow", "list", "--dport", "443", "--columns", "source,state", "-o", "json")
    assert json.loads(text) == [{"source": "10.0.0.1", "state": "SYN-SENT"}]
    code, text = run("flow", "list", "--dport", "80", "--count")
    assert (code, text) == (0, "0\n")
    code, text = run("flow", "explain", "10.0.0.1:4000", "198.51.100.7:443")
    assert code == 0
    assert "its reverse entry is MISSING" in text
    code, text = run("flow", "explain", "10.0.0.1", "198.51.100.7", "-o", "json")
    document: dict[str, Any] = json.loads(text)
    assert [each["paired"] for each in document["translations"]] == [False]
    code, text = run("nat", "doctor")
    assert code == 1
    assert "missing reverse: 1; answers are not translated back" in text
    code, text = run("nat", "doctor", "-o", "json")
    assert json.loads(text)["tables"][0]["missing_reverse"] == 1
    assert run("flow", "explain", "10.0.0.1", "fd00::1")[0] == 2
    assert run("flow", "explain", "nobody", "10.0.0.1")[0] == 2
    code, text = run("bpf", "map", "pressure", "--above", "4", "-o", "json")
    assert [row["map"] for row in json.loads(text)] == [
        "cilium_lb4_reverse_nat", "cilium_ipcache_v2", "cilium_lb4_services_v2", "cilium_lxc",
    ]  # fmt: skip
