"""Selecting on real maps: lists, counts, deletions, watches and groups, of connections and of other families."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import ct, nat
from cilium_py.schema.text import parse_ip
from tests.kernel.conftest import Said
from tests.kernel.flows import CLIENT, FLOWS, SERVER, TCP, UDP, Flow, make

NAT, IPCACHE, METRICS = "cilium_snat_v4_external", "cilium_ipcache_v2", "cilium_metrics"


def ports(output: str) -> list[int]:
    return sorted(row["destination_port"] for row in json.loads(output))


@pytest.mark.parametrize(("words", "wanted"), [
    (["--src", "10.0.0.1"], [53, 80, 443]),
    (["--src", "10.0.0.0/31"], [53, 80, 443]),
    (["--src", "10.0.0.1,10.0.0.2", "--dport", "443"], [443, 443]),
    (["--src", "10.0.0.1", "--src", "10.0.0.2", "--dport", "443,8443"], [443, 443, 8443]),
    (["--dport", "400-9000"], [443, 443, 8443]),
    (["--addr", "10.0.1.7", "--proto", "udp"], [53]),
    (["--proto", "17"], [53]),
    (["--not", "--proto", "UDP", "--not", "--dport", "443"], [80, 8443]),
    (["--flag", "txclosing"], [80]),
    (["--not-flag", "SeenNonSyn"], [53, 8443]),
    (["--identity", "world"], [443]),
    (["--identity", "reserved:world,256"], [53, 80, 443, 443, 8443]),
    (["--expires-within", "30s"], [80]),
    (["--idle", "5m"], [53, 443]),
    (["--state", "SYN-SENT"], [8443]),
    (["--where", "bytes >= 900"], [443, 443]),
    (["--where", "idle > 5m and not (protocol == udp)"], [443]),
    (["--where", "source in 10.0.0.2 or flag_names has RxClosing"], [80, 443, 8443]),
    (["--where", "destination_port in (53, 80-90) and packets < bytes"], [53, 80]),
    (["--where", "remaining < 1m and state ~ clos"], [80]),
    (["--not", "--where", "protocol = tcp"], [53]),
    (["--where", "source == destination"], []),
    (["--where", "nat_port == none"], [53, 80, 443, 443, 8443]),
    (["--port", "40000", "--dir", "in"], []),
], ids=lambda value: " ".join(map(str, value)))  # fmt: skip
def test_what_is_selected(words: list[str], wanted: list[int], flows: BpfMap, said: Said) -> None:
    code, out, err = said("ct", "list", *words, "-o", "json")
    assert (code, ports(out), err) == (0, wanted, "")
    assert said("ct", "count", *words)[1] == f"{len(wanted)}\n"
    assert said("ct", "delete", *words, "--dry-run")[1].startswith(f"Would delete {len(wanted)} entries")
    assert len(list(flows.entries())) == len(FLOWS)


@pytest.mark.usefixtures("flows")
def test_order_number_and_columns(said: Said) -> None:
    words = ["--sort", "bytes:desc", "--limit", "2", "--columns", "source,bytes,state"]
    assert said("ct", "list", *words) == (0, (
        "SOURCE     BYTES   STATE\n"
        "10.0.0.1   5000    ESTABLISHED\n"
        "10.0.0.2   900     ESTABLISHED\n"
    ), "")  # fmt: skip
    assert json.loads(said("ct", "list", *words, "-o", "json")[1])[1] == {
        "source": "10.0.0.2", "bytes": 900, "state": "ESTABLISHED"
    }  # fmt: skip
    _, out, _ = said("ct", "list", "--sort", "source,bytes", "-o", "json")
    assert [row["bytes"] for row in json.loads(out)] == [60, 70, 5000, 10, 900]


@pytest.mark.parametrize("format", ["text", "json", "jsonl", "csv", "yaml"])
def test_columns_of_a_large_table(format: str, flows: BpfMap, said: Said) -> None:
    """Made by the kernel, or with a limit row by row: the same."""
    for number in range(5000):
        flow = Flow(parse_ip(f"10.9.{number >> 8}.{number & 255}"), number, (TCP, UDP, 77)[number % 3], flags=number)
        flows.update(flow.key(), flow.value())
    words = ["ct", "list", "--not", "--src", "10.9.7.0/24", "-o", format, "--columns"]
    for columns in (
        "bytes",
        "nat_port,source,related",
        "protocol,flag_names,destination_port,nat_address",
        "state,bytes",
    ):
        whole = said(*words, columns)
        assert whole == said(*words, columns, "--limit", "100000")
        assert len(whole[1].splitlines()) > 4000


@pytest.mark.usefixtures("flows")
def test_counts_by_what_there_is(said: Said) -> None:
    rows = json.loads(said("ct", "list", "--dport", "1-1000", "--stats", "-o", "json")[1])
    found = {(row["by"], row["value"]): (row["entries"], row["bytes"]) for row in rows}
    assert found["total", ""] == (4, 6030)
    assert found["protocol", "TCP"] == (3, 5970)
    assert found["state", "CLOSED"] == (1, 70)
    assert found["direction", "OUT"] == (4, 6030)


@pytest.mark.parametrize(("words", "hint"), [
    (["ct", "list", "--older-than", "1m"], "fields: protocol, direction, source,"),
    (["metrics", "list", "--src", "10.0.0.1"], "fields: reason, code, direction,"),
    (["ct", "list", "--where", "sorce == 10.0.0.1"], "did you mean source? fields: protocol,"),
    (["ct", "list", "--sort", "size"], "fields: protocol,"),
    (["ct", "delete"], "say which"),
    (["ct", "list", "--not"], "--not --dport 443"),
], ids=" ".join)  # fmt: skip
@pytest.mark.usefixtures("flows")
def test_what_rows_have_not_is_refused(words: list[str], hint: str, said: Said) -> None:
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert hint in err.splitlines()[1]


def test_deleting_reports_how_many(flows: BpfMap, said: Said) -> None:
    code, out, _ = said("ct", "delete", "--dport", "443", "--yes")
    assert (code, out.split(" from ")[0]) == (0, "Deleted 2 entries")
    assert {ct.Key4.unpack(key).dport for key, _ in flows.entries()} == {53, 80, 8443}


@pytest.mark.parametrize("with_nat", [False, True])
def test_a_connection_goes_with_its_translation(with_nat: bool, pins: Path, flows: BpfMap, said: Said) -> None:
    translated = parse_ip("192.168.0.1")
    with make(pins, NAT, nat.Key4.size, nat.Entry4.size) as mappings:
        for flow in FLOWS[0], FLOWS[3]:
            ends = {"nexthdr": TCP, "dport": flow.dport, "sport": flow.sport}
            out = nat.Key4(saddr=flow.source, daddr=SERVER, **ends, flags=0).pack()
            back = nat.Key4(saddr=SERVER, daddr=translated, nexthdr=TCP, dport=9, sport=flow.dport, flags=1)
            mappings.update(out, nat.Entry4(to_saddr=translated, to_sport=9).pack())
            mappings.update(back.pack(), nat.Entry4(to_saddr=flow.source, to_sport=flow.sport).pack())
        before = len(list(mappings.entries()))
        said("ct", "delete", "--src", "10.0.0.1", "--yes", *(["--with-nat"] if with_nat else []))
        assert len(list(flows.entries())) == 2
        assert before - len(list(mappings.entries())) == (2 if with_nat else 0)


def test_prefixes(pins: Path, said: Said) -> None:
    with make(pins, IPCACHE, 24, 24, MapType.LPM_TRIE) as made:
        for network, length, identity in (("10.0.0.0", 8, 300), ("10.1.0.0", 16, 301), ("10.1.2.3", 32, 302)):
            key = struct.pack("<IHxB4s12x", 32 + length, 0, 1, parse_ip(network))
            made.update(key, struct.pack("<I20x", identity))

        def identities(*words: str) -> list[int]:
            return [row["identity"] for row in json.loads(said("ipcache", "list", *words, "-o", "json")[1])]

        assert sorted(identities("--addr", "10.1.2.3")) == [300, 301, 302]
        assert sorted(identities("--addr", "10.1.0.0/16")) == [301, 302]
        assert sorted(identities("--where", "prefix contains 10.1.9.9")) == [300, 301]
        assert identities("--where", "prefix == 10.1.0.0/16") == [301]
        assert identities("--identity", "301,302", "--sort", "identity:desc") == [302, 301]
        assert said("ipcache", "delete", "--where", "prefix in 10.1.0.0/16", "--yes")[1].startswith("Deleted 2 entries")
        assert identities() == [300]


def test_sums_over_cpus(pins: Path, said: Said) -> None:
    with make(pins, METRICS, 8, 16, MapType.PERCPU_HASH) as made:
        for reason in (0, 133):
            cpus = made.value_room // 16
            made.update_percpu(struct.pack("<BBHB3x", reason, 1, 7, 1), [struct.pack("<QQ", 1, 10)] * cpus)
        assert said("metrics", "count", "--where", f"packets == {cpus} and code == 133")[1] == "1\n"
        assert said("metrics", "count", "--dir", "egress")[1] == "0\n"


@pytest.mark.usefixtures("flows")
def test_groups(said: Said) -> None:
    code, out, _ = said("ct", "top", "--by", "source", "--rounds", "1", "-o", "jsonl")
    groups = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(each["source"], each["entries"], each["bytes"]) for each in groups] == [
        ("10.0.0.1", 3, 5130), ("10.0.0.2", 2, 910)
    ]  # fmt: skip
    _, out, _ = said("ct", "top", "--by", "protocol,state", "--sort", "entries", "--rounds", "1", "--limit", "1")
    assert out.splitlines()[1:] == [
        "PROTOCOL  STATE        ENTRIES  PACKETS  BYTES",
        "TCP       ESTABLISHED        2        2   5900",
    ]


def test_one_connection(flows: BpfMap, said: Said) -> None:
    service = ct.Key4(saddr=CLIENT, dport=443, daddr=SERVER, sport=40000, nexthdr=TCP, flags=ct.TUPLE_SERVICE)
    flows.update(service.pack(), FLOWS[0].value())
    ends = ["10.0.0.1:40000", "10.0.1.7:443"]
    assert [row["direction"] for row in json.loads(said("ct", "get", *ends, "-o", "json")[1])] == ["OUT"]
    turned = ["10.0.0.1:443", "10.0.1.7:40000"]
    assert [row["direction"] for row in json.loads(said("ct", "get", *turned, "-o", "json")[1])] == ["SVC"]
    assert said("ct", "get", *ends, "--dir", "in")[0] == 1
    assert said("ct", "get", *ends, "--dir", "up")[0] == 2
    assert said("ct", "get", "10.0.0.1", "10.0.1.7:443")[0] == 2
    assert said("ct", "get", "10.0.0.1:1", "[fd00::1]:443")[0] == 2
