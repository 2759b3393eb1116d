"""An endpoint as `endpoint list` and `endpoint get` show it."""

from __future__ import annotations

from typing import Any, NamedTuple

from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.schema.text import protocol_name

from . import status
from .model import Endpoint

HEALTH = {
    status.READY: ("OK", "OK", "OK", True),
    status.NOT_READY: ("Warning", "Warning", "Warning", True),
    status.REGENERATING: ("Pending", "Pending", "Pending", True),
    status.WAITING: ("Pending", "Pending", "Pending", True),
    status.DISCONNECTED: ("Disabled", "Disabled", "Disabled", False),
}
"""State -> overall, BPF and policy health, and whether it is connected."""


class EndpointRow(NamedTuple):
    """One endpoint. The policy words are Enabled, Disabled or Disabled (Audit)."""

    endpoint: int
    name: str
    policy_ingress: str
    policy_egress: str
    identity: int
    labels: list[str]
    ipv6: str
    ipv4: str
    status: str


def row(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> EndpointRow:
    return EndpointRow(
        endpoint=endpoint.id,
        name=endpoint.name,
        policy_ingress=status.policy_words(endpoint.enforces_ingress, endpoint),
        policy_egress=status.policy_words(endpoint.enforces_egress, endpoint),
        identity=endpoint.identity,
        labels=list(endpoint.labels),
        ipv6=str(endpoint.ipv6 or ""),
        ipv4=str(endpoint.ipv4 or ""),
        status=status.state_of(paths, node, endpoint),
    )


def document(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> dict[str, Any]:  # what json writes
    """The endpoint with the keys of Cilium's API."""
    state = status.state_of(paths, node, endpoint)
    overall, bpf, policy, connected = HEALTH[state]
    options = {name: str(value) for name, value in endpoint.options.items()}
    return {
        "id": endpoint.id,
        "spec": {"label-configuration": {}, "options": options},
        "status": {
            "external-identifiers": {
                "container-id": endpoint.container_id,
                "container-name": endpoint.name,
                "pod-name": "",
            },
            "health": {"bpf": bpf, "connected": connected, "overallHealth": overall, "policy": policy},
            "identity": {"id": endpoint.identity, "labels": list(endpoint.labels)},
            "labels": {"realized": {}, "security-relevant": list(endpoint.labels)},
            "named-ports": [
                {"name": name, "port": port, "protocol": protocol_name(protocol)}
                for name, (protocol, port) in endpoint.named_ports.items()
            ],
            "networking": {
                "addressing": [{"ipv4": str(endpoint.ipv4 or ""), "ipv6": str(endpoint.ipv6 or "")}],
                "container-interface-name": endpoint.pod_interface,
                "host-mac": endpoint.interface_mac.hex(":"),
                "interface-index": endpoint.interface_index,
                "interface-name": endpoint.interface,
                "mac": endpoint.pod_mac.hex(":"),
                "netns": endpoint.netns or "",
            },
            "policy": {
                "realized": {"policy-enabled": _policy_enabled(endpoint), "policy-revision": endpoint.policy.revision}
            },
            "realized": {"options": options},
            "problems": status.problems(paths, node, endpoint),
            "state": state,
        },
    }


def _policy_enabled(endpoint: Endpoint) -> str:
    word = {
        (False, False): "none",
        (True, False): "ingress",
        (False, True): "egress",
        (True, True): "both",
    }[endpoint.enforces_ingress, endpoint.enforces_egress]
    return f"audit-{word}" if word != "none" and endpoint.options["PolicyAuditMode"] else word
