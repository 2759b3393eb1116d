"""The commands about rules, as far as they need no kernel: what they print, and how they fail."""

from __future__ import annotations

import json
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cilium_py.cli.main import cilium_py, run
from cilium_py.errors import WrongUsage
from cilium_py.net.checksum import checksum
from cilium_py.node.config import Family4, NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.policy import document, parse, repository
from cilium_py.policy.packet import Packet
from cilium_py.policy.repository import Repository
from cilium_py.policy.trace import parse_target

RULE = (
    '{"endpointSelector": {"matchLabels": {"app": "web"}}, "labels": ["team=a"],'
    ' "ingress": [{"fromCIDR": ["10.0.0.0/8"]}]}'
)


@pytest.fixture
def node(tmp_path: Path) -> NodePaths:
    """A node with one rule, whose programs nobody has loaded."""
    from ipaddress import IPv4Address, IPv4Network

    paths = NodePaths(tmp_path / "bpf", tmp_path / "state")
    (tmp_path / "state").mkdir()
    family = Family4(IPv4Address("172.30.0.1"), IPv4Address("10.244.1.254"), IPv4Network("10.244.1.0/24"))
    NodeConfig("node1", ipv4=family).save(paths)
    written = parse.parse_file(document.read(RULE, "rule.json"))
    repository.save(paths, Repository().replace((), written))
    return paths


def cilium(node: NodePaths | None, *words: str, text: str | None = None) -> Result:
    where = ["--bpf-root", str(node.bpf_root), "--state-dir", str(node.state_dir)] if node else []
    return CliRunner().invoke(cilium_py, [*where, *words], input=text)


def test_validate() -> None:
    done = cilium(None, "policy", "validate", "-", text=RULE)
    assert done.output == "All policy elements are valid.\n"
    assert json.loads(cilium(None, "policy", "validate", "--print", "-", text=RULE).output.rpartition("All")[0]) == [
        json.loads(RULE)
    ]


def test_a_file_without_rules_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    for words in (["policy", "validate", str(empty)], ["policy", "validate", str(tmp_path)]):
        assert run(lambda words=words: cilium_py.main(words, standalone_mode=False)) == 1  # type: ignore[misc]
    assert "empty.yaml: has no rules" in capsys.readouterr().err


def test_rules_are_listed_and_shown(node: NodePaths) -> None:
    (row,) = json.loads(cilium(node, "policy", "list", "-o", "json").output)
    assert row == {
        "rule": 1, "name": "unspec:team=a", "selects": "any:app=web", "ingress": 1, "ingress_deny": 0, "egress": 0,
        "egress_deny": 0, "default_deny": ["ingress"], "labels": ["unspec:team=a"], "description": "",
    }  # fmt: skip
    assert (
        cilium(node, "policy", "get", "team=a").output == json.dumps([json.loads(RULE)], indent=2) + "\nRevision: 2\n"
    )
    assert cilium(node, "policy", "delete", "team=a", "--dry-run").output == "Would delete 1 rules: unspec:team=a\n"
    assert cilium(node, "policy", "selectors").output.splitlines() == [
        "SELECTOR     LABELS          USERS   IDENTITIES",
        "10.0.0.0/8   unspec:team=a   1",
    ]


def test_identities_are_listed(node: NodePaths) -> None:
    listed = cilium(node, "identity", "list").output.splitlines()
    assert listed[:2] == ["ID   LABELS", "1    reserved:host"]
    assert cilium(node, "identity", "get", "7").output.splitlines()[1:] == [
        "7    reserved:kube-apiserver",
        "     reserved:remote-node",
    ]
    rows = json.loads(cilium(node, "identity", "get", "--label", "reserved:host", "-o", "json").output)
    assert rows == [{"identity": 1, "labels": ["reserved:host"], "kind": "reserved", "endpoints": 0}]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["policy", "get", "team=b"], 1, "no rule has the labels unspec:team=b"),
        (["policy", "delete"], 2, "name labels, or say --all"),
        (["policy", "delete", "a b"], 2, "'a b' is not a label"),
        (["policy", "trace", "--from", "1"], 2, "name both ends"),
        (["policy", "trace", "--from", "1", "--to", "10.0.0.1"], 2, "'1': neither an endpoint nor an address"),
        (["policy", "trace", "--from", "192.0.2.1", "--to", "10.0.0.1"], 2, "neither end is subject to the rules"),
        (["policy", "trace", "--from", "192.0.2.1", "--to", "10.0.0.1:80/QUIC"], 2, "'QUIC' is not a protocol"),
        (["policy", "wait", "3", "--max-wait-time", "0"], 1, "not reached within 0 s: the rules are at 2"),
        (["identity", "get", "300"], 1, "no identity is 300"),
        (["identity", "get"], 2, "name a number, or labels"),
        (["identity", "get", "--label", "app=x"], 1, "no identity has just these labels"),
    ],
)
def test_failures_say_what_and_how_to_go_on(
    node: NodePaths, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--bpf-root", str(node.bpf_root), "--state-dir", str(node.state_dir)]
    assert run(lambda: cilium_py.main([*where, *words], standalone_mode=False)) == code
    assert says in capsys.readouterr().err


def test_a_revision_that_is_there_is_not_waited_for(node: NodePaths) -> None:
    assert cilium(node, "policy", "wait", "2").exit_code == 0


def test_a_trace_between_labels_needs_no_programs(node: NodePaths) -> None:
    done = cilium(node, "policy", "trace", "--from-labels", "app=db", "--to-labels", "app=web", "--dport", "80")
    assert done.exit_code == 0
    assert "ingress at the labels: denied, no entry is for it" in done.output
    assert "Rules:    denied" in done.output


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2", ("2", None, 0)),
        ("web:80", ("web", 6, 80)),
        ("10.0.0.7:53/UDP", ("10.0.0.7", 17, 53)),
        ("fd00::7", ("fd00::7", None, 0)),
        ("[fd00::7]", ("fd00::7", None, 0)),
        ("[fd00::7]:80/sctp", ("fd00::7", 132, 80)),
        ("web:8/ICMP", ("web", 1, 8)),
    ],
)
def test_targets(text: str, target: tuple[str, int | None, int]) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["web:http", "web:70000", "web:80/QUIC", "web:80/80/TCP"])
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(WrongUsage):
        parse_target(text)


@pytest.mark.parametrize("protocol", [1, 6, 17, 58, 132])
@pytest.mark.parametrize(("source", "destination"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_packets_have_right_checksums(source: str, destination: str, protocol: int) -> None:
    packet = Packet(ip_address(source), ip_address(destination), protocol, 80)
    frame = packet.frame(b"\2" * 6, b"\4" * 6)
    four = packet.source.version == 4
    head, load = frame[14 : 34 if four else 54], frame[34 if four else 54 :]
    assert frame[12:14] == (b"\x08\0" if four else b"\x86\xdd")
    if four:
        assert checksum(head) == 0
        assert int.from_bytes(head[2:4], "big") == len(frame) - 14
    ends = socket.inet_pton(socket.AF_INET if four else socket.AF_INET6, source) + packet.destination.packed
    covered = b"" if protocol == 1 else ends + struct.pack(">II", len(load), protocol)
    if protocol != 132:
        assert checksum(covered + load) == 0


@pytest.mark.parametrize("words", ["list", "get", "get k8s:a=b", "selectors", "delete --all --yes", "wait 5"])
def test_without_a_node_there_are_no_rules(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--bpf-root", str(tmp_path / "bpf"), "--state-dir", str(tmp_path / "state")]
    assert run(lambda: cilium_py.main([*where, "policy", *words.split()], standalone_mode=False)) == 1
    assert f"error: {tmp_path}/state/node.json: no node here\n" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--max-wait-time", "--sleep-time", "--fail-wait-time"])
@pytest.mark.parametrize("text", ["-1", "soon", "2d"])
def test_how_long_to_wait_is_a_duration(node: NodePaths, option: str, text: str) -> None:
    words = ["--state-dir", str(node.state_dir), "policy", "wait", "5", option, text]
    with pytest.raises(WrongUsage, match=option):
        CliRunner().invoke(cilium_py, words, catch_exceptions=False, standalone_mode=False)
