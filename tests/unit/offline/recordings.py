"""Recordings of nodes that never were: one of ours in a snapshot, others in what agents and bpftool wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any

from cilium_py.endpoint import history, states, store
from cilium_py.endpoint.model import Endpoint
from cilium_py.endpoint.overview import Overview
from cilium_py.health.endpoint import HealthEndpoint
from cilium_py.node.config import Family4, NodeConfig
from cilium_py.node.identity import IdentityStore
from cilium_py.node.roster import KnownNode
from cilium_py.paths import NodePaths
from cilium_py.policy import parse, repository
from cilium_py.policy.document import of_plain
from cilium_py.policy.repository import Repository
from tests.unit.snapshot.making import ENDPOINTS, write

WEB = Endpoint(
    1, "web", "lxcweb", 7, b"\x02\0\0\0\0\x01", "eth0", b"\x02\0\0\0\0\x02", ipv4=IPv4Address("10.0.0.1"),
    ipv6=IPv6Address("fd10::1"), identity=256, labels=("container:app=web",),
)  # fmt: skip
RULE = {
    "endpointSelector": {"matchLabels": {"app": "web"}},
    "ingress": [{"fromEntities": ["world"]}],
    "labels": ["web"],
}
LATENCY = {"latency": 1000, "lastProbed": "2026-11-23T10:00:00Z"}
REPORT = {
    "local": {"name": "node1"}, "probeInterval": "1m", "timestamp": "2026-11-23T10:00:00Z",
    "nodes": [{"name": "node1", "host": {"primary-address": {"ip": "172.30.0.1", "icmp": LATENCY, "http": LATENCY}}}],
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "endpoints": {"1": {"state": "ready", "problems": []}},
    "node": Overview(
        "node1", "", "172.30.0.1", "10.0.0.9", "10.0.0.0/24", "", "", "", "/sys/fs/bpf", "/var/run/cilium/state",
        "auto", 28, 4, 1, {"ready": 1}, [],
    )._asdict(),
    "probes": {
        "report": REPORT,
        "history": [{
            "node": "node1", "type": "node", "rank": "primary", "ip": "172.30.0.1", "protocol": "icmp", "probes": 4,
            "lost": 1, "loss_percent": 25.0, "p50_ns": 1000, "p95_ns": 2000, "last_failure": "", "reason": "",
        }],
        "daemon": {"uptime": "5s"},
    },
    "health-endpoint": HealthEndpoint(2, "10.0.0.2", "", "cilium-health", "lxc_health", "ready", 42)._asdict(),
}  # fmt: skip


def files_of_ours(root: Path) -> dict[str, bytes]:
    """The state directory of a node of ours, with an endpoint, its identity and a rule, as a snapshot has it."""
    paths = NodePaths(root / "bpf", root / "state")
    paths.endpoint(1).mkdir(parents=True)
    (paths.templates / "0a0b").mkdir(parents=True)
    (paths.templates / "0a0b" / "ep_config.h").write_text("#define ENABLE_IPV4 1\n")
    (paths.endpoint(1) / "template.txt").write_text("0a0b")
    family = Family4(IPv4Address("172.30.0.1"), IPv4Address("10.0.0.9"), IPv4Network("10.0.0.0/24"))
    node = NodeConfig("node1", family)
    node.save(paths)
    node.roster(paths).put(KnownNode("node2", ipv4=IPv4Address("172.30.0.2"), health_ipv4=IPv4Address("10.0.1.2")))
    store.save(paths.endpoint(1), WEB)
    IdentityStore(paths.state_dir / "identities").allocate(WEB.labels, "node1/1")
    history.move(paths, 1, states.WAITING_FOR_IDENTITY, "Endpoint creation")
    written = parse.parse_file([of_plain(RULE, "rules", "")])
    (paths.state_dir / "policy").mkdir()
    repository.save(paths, Repository().replace((), written))
    files = (path for path in paths.state_dir.rglob("*") if path.is_file())
    return {path.relative_to(paths.state_dir).as_posix(): path.read_bytes() for path in files}


def ours(root: Path, answers: Mapping[str, Any] = ANSWERS, files: Mapping[str, bytes] | None = None) -> Path:
    """A snapshot of a node of ours."""
    known = files_of_ours(root / "node") if files is None else dict(files)
    known |= {f"answers/{name}.json": json.dumps(answer).encode() for name, answer in answers.items()}
    return write(root / "ours.snap", {"cilium_lxc": ENDPOINTS}, {f"state/{name}": data for name, data in known.items()})


API_ENDPOINT = {
    "id": 1234,
    "status": {
        "state": "ready",
        "external-identifiers": {"pod-name": "default/web-1", "container-id": "0f3a"},
        "identity": {"id": 30001, "labels": ["k8s:io.kubernetes.pod.namespace=default", "k8s:app=web"]},
        "networking": {
            "addressing": [{"ipv4": "10.0.1.7", "ipv6": "fd00::7"}], "mac": "02:00:00:00:00:07",
            "host-mac": "02:00:00:00:00:08", "interface-name": "lxc1", "interface-index": 12,
        },
        "policy": {"realized": {"policy-enabled": "ingress", "policy-revision": 9}},
        "realized": {"options": {"Debug": "Enabled"}},
        "log": [
            {"code": "OK", "message": "Regenerated", "state": "ready", "timestamp": "2026-11-23T10:00:02Z"},
            {"code": "OK", "message": "Created", "state": "regenerating", "timestamp": "2026-11-23T10:00:01Z"},
        ],
    },
}  # fmt: skip
API_NODES = [
    {
        "name": "kind/worker", "primary-address": {"ipv4": {"ip": "172.18.0.2"}, "ipv6": {"ip": "fc00::2"}},
        "health-endpoint-address": {"ipv4": {"ip": "10.0.1.5"}}, "secondary-addresses": [{"ip": "10.0.1.1"}],
    },
    {"name": "kind/control", "primary-address": {"ipv4": {"ip": "172.18.0.3"}}},
]  # fmt: skip
DEBUGINFO = {
    "endpoint-list": [API_ENDPOINT],
    "cilium-status": {"cluster": {"self": "kind/worker", "nodes": API_NODES}},
    "policy": {"policy": json.dumps([RULE]), "revision": 9},
}
EP_CONFIG = {
    "ID": 77, "IfName": "lxc77", "IfIndex": 9, "K8sPodName": "db-0", "K8sNamespace": "prod", "IPv4": "10.0.1.77",
    "IPv6": "", "LXCMAC": "02:00:00:00:00:77", "NodeMAC": "02:00:00:00:00:78", "Options": {"map": {}},
    "OpLabels": {"Custom": {}, "Disabled": {}, "OrchestrationIdentity": {}, "OrchestrationInfo": {}},
    "SecLabel": {"id": 40000, "labels": {"app": {"key": "app", "value": "db", "source": "k8s"}}},
}  # fmt: skip


def octets(data: bytes) -> list[str]:
    return [f"0x{byte:02x}" for byte in data]


def dumped(directory: Path, pin: str, entries: list[tuple[bytes, bytes]]) -> None:
    """What `bpftool -j map dump` would print of a map."""
    shown = [{"key": octets(key), "value": octets(value)} for key, value in entries]
    (directory / f"{pin}.json").write_text(json.dumps(shown))


def theirs(directory: Path, files: Mapping[str, Any]) -> Path:
    """A directory as cilium-bugtool leaves it: a dump of cilium_lxc, and documents of an agent."""
    dumped(directory, "cilium_lxc", ENDPOINTS)
    for name, document in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return directory
