"""An endpoint as the commands of `endpoint` show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.schema.text import protocol_name

from . import history, status
from .model import Endpoint
from .options import OPTIONS
from .states import HEALTH


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


class LabelRow(NamedTuple):
    """A label of an endpoint: part of its identity, or kept out of it."""

    label: str
    enabled: bool
    custom: bool
    """Whether it was added by hand."""


class OptionRow(NamedTuple):
    """An option of an endpoint and its value; switches are 0 or 1."""

    option: str
    value: int
    description: str


class HealthRow(NamedTuple):
    """How an endpoint is, in Cilium's words, and what of it is missing."""

    endpoint: int
    state: str
    overall: str
    bpf: str
    policy: str
    connected: bool
    problems: list[str]


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


def labels(endpoint: Endpoint) -> Iterator[LabelRow]:
    for label in endpoint.labels:
        yield LabelRow(label, True, label in endpoint.custom_labels)
    for label in endpoint.disabled_labels:
        yield LabelRow(label, False, False)


def options(endpoint: Endpoint) -> Iterator[OptionRow]:
    for name, option in OPTIONS.items():
        yield OptionRow(name, endpoint.options[name], option.description)


def health(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> HealthRow:
    state = status.state_of(paths, node, endpoint)
    return HealthRow(endpoint.id, state, *HEALTH[state], status.problems(paths, node, endpoint))


def document(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> dict[str, Any]:  # what json writes
    """The endpoint with the keys of Cilium's API, and `problems` beside them."""
    found = health(paths, node, endpoint)
    configuration = {
        "label-configuration": {"user": list(endpoint.custom_labels)},
        "options": {name: option_word(name, value) for name, value in endpoint.options.items()},
    }
    ports = [
        {"name": name, "port": port, "protocol": protocol_name(protocol)}
        for name, (protocol, port) in endpoint.named_ports.items()
    ]
    policy = {
        "id": endpoint.identity,
        "policy-enabled": _policy_enabled(endpoint),
        "policy-revision": endpoint.policy.revision,
    }
    return {
        "id": endpoint.id,
        "spec": configuration,
        "status": {
            "controllers": [],
            "external-identifiers": {
                "container-id": endpoint.container_id,
                "container-name": endpoint.name,
                "pod-name": "",
            },
            "health": {
                "bpf": found.bpf,
                "connected": found.connected,
                "overallHealth": found.overall,
                "policy": found.policy,
            },
            "identity": {"id": endpoint.identity, "labels": list(endpoint.labels)},
            "labels": {
                "derived": [],
                "disabled": list(endpoint.disabled_labels),
                "realized": {"user": list(endpoint.custom_labels)},
                "security-relevant": list(endpoint.labels),
            },
            "log": [entry._asdict() for entry in reversed(history.entries(paths, endpoint.id))],
            "named-ports": ports,
            "namedPorts": ports,
            "networking": {
                "addressing": [{"ipv4": str(endpoint.ipv4 or ""), "ipv6": str(endpoint.ipv6 or "")}],
                "container-interface-name": endpoint.pod_interface,
                "host-mac": endpoint.interface_mac.hex(":"),
                "interface-index": endpoint.interface_index,
                "interface-name": endpoint.interface,
                "mac": endpoint.pod_mac.hex(":"),
                "netns": endpoint.netns or "",
            },
            "policy": {"proxy-statistics": [], "realized": policy, "spec": policy},
            "realized": configuration,
            "problems": found.problems,
            "state": found.state,
        },
    }


def option_word(name: str, value: int) -> str:
    """Enabled, Disabled, or the number of an option that is no switch."""
    return str(value) if OPTIONS[name].most > 1 else ("Disabled", "Enabled")[value]


def _policy_enabled(endpoint: Endpoint) -> str:
    word = {
        (False, False): "none",
        (True, False): "ingress",
        (False, True): "egress",
        (True, True): "both",
    }[endpoint.enforces_ingress, endpoint.enforces_egress]
    return f"audit-{word}" if word != "none" and endpoint.options["PolicyAuditMode"] else word
