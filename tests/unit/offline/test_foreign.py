"""Recordings of nodes of another Cilium: what documents, files and maps tell, and that nothing else is claimed."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cli.test_tree import call
from tests.unit.snapshot.making import ENDPOINTS, write

from .recordings import API_ENDPOINT, API_NODES, DEBUGINFO, EP_CONFIG, dumped, theirs
from .test_commands import HOSTILE, asked, changed

IPCACHE = "cilium_ipcache_v2"


def ipcache(address: bytes, identity: int, tunnel: bytes = bytes(4)) -> tuple[bytes, bytes]:
    """An IPv4 entry of 1.18."""
    key = (64).to_bytes(4, "little") + bytes(3) + b"\x01" + address + bytes(12)
    return key, identity.to_bytes(4, "little") + tunnel.ljust(18, b"\0") + bytes([0, 2 * any(tunnel)])


def nodeid(address: bytes, number: int) -> tuple[bytes, bytes]:
    return bytes(3) + b"\x01" + address + bytes(12), number.to_bytes(2, "little") + bytes(2)


def rows(where: Path, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(where, *words)
    return found


def test_the_maps_alone(tmp_path: Path) -> None:
    where = theirs(tmp_path, {})
    found = rows(where, "endpoint", "list")
    assert [(row["endpoint"], row["ipv4"]) for row in found] == [(n, f"10.0.0.{n}") for n in range(1, 6)]
    assert {(row["status"], row["policy_ingress"], row["name"]) for row in found} == {("unknown", "-", "")}


@pytest.mark.parametrize("packed", [False, True], ids=["directory", "archive"])
def test_debuginfo(packed: bool, tmp_path: Path) -> None:
    where = tmp_path / "bugtool"
    where.mkdir()
    theirs(where, {"debuginfo-20261123-100000.999-+0000-UTC.json": DEBUGINFO})
    if packed:
        with tarfile.open(tmp_path / "bugtool.tar.gz", "w:gz") as archive:
            archive.add(where, "cilium-bugtool-1/cmd")
        where = tmp_path / "bugtool.tar.gz"
    row = rows(where, "endpoint", "list", "--where", "status == ready")[0]
    assert (row["endpoint"], row["name"], row["policy_ingress"]) == (1234, "default/web-1", "Enabled")
    assert (row["policy_egress"], row["identity"], row["ipv6"]) == ("Disabled", 30001, "fd00::7")
    assert row["labels"] == ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=default"]
    assert [entry["message"] for entry in rows(where, "endpoint", "log", "1234")] == ["Regenerated", "Created"]
    assert rows(where, "endpoint", "config", "1234", "-o", "json")
    nodes = {row["name"]: row for row in rows(where, "node", "list")}
    assert nodes["kind/worker"]["local"]
    assert nodes["kind/worker"]["health_ipv4"] == "10.0.1.5"
    assert nodes["kind/worker"]["secondary"] == ["10.0.1.1"]
    assert nodes["kind/control"]["ipv4"] == "172.18.0.3"
    assert rows(where, "identity", "list", "--identity", "30001")[0]["labels"][0] == "k8s:app=web"
    assert rows(where, "policy", "list")[0]["labels"] == ["unspec:web"]


@pytest.mark.parametrize(("cluster", "shown"), [("default", "a"), ("kind", "kind/a")])
def test_the_node_itself_is_listed_once(cluster: str, shown: str, tmp_path: Path) -> None:
    nodes = [{"name": f"{cluster}/a", "primary-address": {"ipv4": {"ip": "192.0.2.1"}}}]
    told = {"cilium-status": {"cluster": {"self": f"{cluster}/a", "nodes": nodes}}}
    found = rows(theirs(tmp_path, {"debuginfo-1.json": told}), "node", "list")
    assert [(row["name"], row["local"], row["ipv4"]) for row in found] == [(shown, True, "192.0.2.1")]


def test_debuginfo_without_a_map(tmp_path: Path) -> None:
    (tmp_path / "debuginfo-1.json").write_text(json.dumps(DEBUGINFO))
    assert [row["endpoint"] for row in rows(tmp_path, "endpoint", "list")] == [1234]
    code, out, err = call("--from", str(tmp_path), "ct", "list")
    assert (code, out) == (1, "")
    assert "not recorded" in err


def test_what_is_too_large_is_passed_over_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cilium_py.snapshot.dumped.MOST_TOLD", 100)
    code, out, err = call("--from", str(theirs(tmp_path, {"debuginfo-1.json": DEBUGINFO})), "endpoint", "list")
    assert code == 0
    assert "1234" not in out
    assert err.startswith("note: debuginfo-1.json: larger than")


def test_outputs_of_commands(tmp_path: Path) -> None:
    """As bugtool names and wraps them; tables of text among them are passed over."""
    fenced = f"# cilium-dbg endpoint list -o json\n\n```\n{json.dumps([API_ENDPOINT])}\n```\n"
    where = theirs(tmp_path, {
        "cilium-dbg-endpoint-list.md": "ENDPOINT   POLICY\n1234       Disabled\n",
        "cilium-dbg-endpoint-list--o-json.md": fenced,
        "cilium-dbg-identity-list--o-json.json": [{"id": 50000, "labels": ["k8s:app=far"]}],
        "cilium-dbg-node-list--o-json.json": API_NODES,
        "cilium-dbg-policy-get--o-json.json": {"policy": DEBUGINFO["policy"]["policy"], "revision": 4},
    })  # fmt: skip
    assert rows(where, "endpoint", "list", "--endpoint", "1234")[0]["name"] == "default/web-1"
    assert rows(where, "identity", "list", "--identity", "50000")[0]["labels"] == ["k8s:app=far"]
    assert len(rows(where, "node", "list", "--where", "ipv4 in 172.18.0.0/16")) == 2
    assert asked(where, "policy", "get")["revision"] == 4


@pytest.mark.parametrize("kind", ["directory", "snapshot"])
def test_files_of_the_agent(kind: str, tmp_path: Path) -> None:
    """What an agent keeps of its endpoints, in a copy of its state directory or in a snapshot of ours."""
    if kind == "directory":
        where = theirs(tmp_path, {"state/77/ep_config.json": EP_CONFIG})
    else:
        members = {"state/77/ep_config.json": json.dumps(EP_CONFIG).encode()}
        where = write(tmp_path / "a.snap", {"cilium_lxc": ENDPOINTS}, members)
    row = rows(where, "endpoint", "list", "--endpoint", "77")[0]
    assert (row["name"], row["identity"], row["labels"]) == ("prod/db-0", 40000, ["k8s:app=db"])
    assert (row["ipv4"], row["status"], row["policy_egress"]) == ("10.0.1.77", "unknown", "-")
    assert rows(where, "identity", "get", "40000")[0]["labels"] == ["k8s:app=db"]
    assert call("--from", str(where), "bpf", "endpoint", "count", "--identity", "k8s:app=db") == (0, "0\n", "")


def test_nodes_and_identities_by_maps(tmp_path: Path) -> None:
    where = theirs(tmp_path, {})
    far, near = bytes([172, 18, 0, 3]), bytes([172, 18, 0, 4])
    dumped(where, "cilium_node_map_v2", [nodeid(far, 7), nodeid(bytes([10, 0, 2, 1]), 7)])
    health, pod, outside = bytes([10, 0, 2, 9]), bytes([10, 0, 2, 8]), bytes([192, 0, 2, 1])
    dumped(where, IPCACHE, [
        ipcache(far, 6), ipcache(near, 6), ipcache(health, 4, far), ipcache(pod, 60000, far),
        ipcache(outside, (1 << 24) + 1),
    ])  # fmt: skip
    nodes = {row["name"]: row for row in rows(where, "node", "list")}
    assert nodes["id-7"]["ipv4"] == "172.18.0.3"
    assert nodes["id-7"]["secondary"] == ["10.0.2.1"]
    assert nodes["id-7"]["health_ipv4"] == "10.0.2.9"
    assert nodes["172.18.0.4"]["ipv4"] == "172.18.0.4"
    kinds = {row["identity"]: row["kind"] for row in rows(where, "identity", "list")}
    assert (kinds[60000], kinds[(1 << 24) + 1]) == ("endpoint", "cidr")
    code, out, err = call("--from", str(where), "identity", "get", "60000")
    assert (code, out.split()[-2:], err) == (0, ["60000", "-"], "")


@pytest.mark.parametrize(
    "words", ["policy list", "policy get", "policy selectors", "node list", "status", "health status"]
)
def test_what_is_not_there_is_said(words: str, tmp_path: Path) -> None:
    code, out, err = call("--from", str(theirs(tmp_path, {})), *words.split())
    assert (code, out) == (1, "")
    assert "says nothing of" in err
    assert len(err.splitlines()) == 2


def test_no_endpoints_at_all(tmp_path: Path) -> None:
    dumped(tmp_path, "cilium_metrics", [])
    code, out, err = call("--from", str(tmp_path), "endpoint", "list")
    assert (code, out) == (1, "")
    assert "says nothing of endpoints" in err


def test_a_rule_that_is_not_understood_is_named(tmp_path: Path) -> None:
    strange = json.dumps([{"endpointSelector": {}, "nonsense": 1}])
    where = theirs(tmp_path, {"debuginfo-1.json": {"policy": {"policy": strange, "revision": 1}}})
    code, out, err = call("--from", str(where), "policy", "list")
    assert (code, out) == (1, "")
    assert "nonsense" in err


def test_a_diff_of_maps_says_nothing_twice(tmp_path: Path) -> None:
    """What is made of the maps alone is no difference beside them."""
    first, second = (tmp_path / name for name in ("first", "second"))
    for each, count in ((first, 5), (second, 4)):
        each.mkdir()
        dumped(each, "cilium_lxc", ENDPOINTS[:count])
    assert [row["map"] for row in asked(first, "snapshot", "diff", str(first), str(second))] == ["cilium_lxc"]
    for each in (first, second):
        (each / "debuginfo-1.json").write_text(json.dumps({**DEBUGINFO, "endpoint-list": [API_ENDPOINT]}))
    found = [row["map"] for row in asked(first, "snapshot", "diff", str(first), str(second))]
    assert found == ["cilium_lxc", "endpoints"]


DOCUMENTS = {
    "debuginfo-1.json": DEBUGINFO, "cilium-endpoint-list--o-json.json": [API_ENDPOINT],
    "cilium-node-list--o-json.json": API_NODES, "cilium-identity-list--o-json.json": [{"id": 3, "labels": ["k8s:a=b"]}],
    "state/77/ep_config.json": EP_CONFIG,
}  # fmt: skip
COMMANDS = ["endpoint list", "endpoint get 1234", "endpoint log 1234", "node list", "identity list", "policy list"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(DOCUMENTS)), words=st.sampled_from(COMMANDS), value=HOSTILE, at=st.integers(0, 200)
)  # fmt: skip
def test_any_document_is_harmless(name: str, words: str, value: Any, at: int, tmp_path: Path) -> None:
    documents = {**DOCUMENTS, name: changed(DOCUMENTS[name], at, value)}
    code, out, err = call("--from", str(theirs(tmp_path, documents)), *words.split())
    assert code in (0, 1)
    assert "\x1b" not in out + err
    assert len(err.splitlines()) <= 2
