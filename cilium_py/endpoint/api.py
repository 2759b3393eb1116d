"""An endpoint as the documents of Cilium's API."""

from __future__ import annotations

from typing import Any, TypeAlias

from cilium_py.paths import NodePaths
from cilium_py.schema.text import protocol_name

from . import history
from .model import Endpoint
from .status import Condition
from .view import HealthRow, health, option_word

Document: TypeAlias = dict[str, Any]  # what json writes


def endpoint(paths: NodePaths, found: Endpoint, condition: Condition) -> Document:
    """Everything about an endpoint, with `netns` and `problems` beside what Cilium's has."""
    seen = health(found, condition)
    configuration = _configuration(found)
    ports = [
        {"name": name, "port": port, "protocol": protocol_name(protocol)}
        for name, (protocol, port) in found.named_ports.items()
    ]
    policy = {
        "id": found.identity,
        "policy-enabled": _policy_enabled(found),
        "policy-revision": found.policy.revision,
    }
    return {
        "id": found.id,
        "spec": configuration,
        "status": {
            "controllers": [],
            "external-identifiers": {
                "container-id": found.container_id,
                "container-name": found.name,
                "pod-name": "",
            },
            "health": health_words(seen),
            "identity": {"id": found.identity, "labels": list(found.labels)},
            "labels": {
                "derived": [],
                "disabled": list(found.disabled_labels),
                "realized": {"user": list(found.custom_labels)},
                "security-relevant": list(found.labels),
            },
            "log": log(paths, found),
            "named-ports": ports,
            "namedPorts": ports,
            "networking": {
                "addressing": [{"ipv4": str(found.ipv4 or ""), "ipv6": str(found.ipv6 or "")}],
                "container-interface-name": found.pod_interface,
                "host-mac": found.interface_mac.hex(":"),
                "interface-index": found.interface_index,
                "interface-name": found.interface,
                "mac": found.pod_mac.hex(":"),
                "netns": found.netns or "",
            },
            "policy": {"proxy-statistics": [], "realized": policy, "spec": policy},
            "realized": configuration,
            "problems": seen.problems,
            "state": seen.state,
        },
    }


def health_words(seen: HealthRow) -> Document:
    return {"bpf": seen.bpf, "connected": seen.connected, "overallHealth": seen.overall, "policy": seen.policy}


def log(paths: NodePaths, found: Endpoint) -> list[Document]:
    """What happened to it, the newest first."""
    return [entry._asdict() for entry in reversed(history.entries(paths, found.id))]


def configuration(found: Endpoint) -> Document:
    return {"immutable": {}, "realized": _configuration(found)}


def without_zeros(document: Any) -> Any:
    """As Go writes it: fields without a value are left out, and so is what is not of Cilium's API."""
    if isinstance(document, list):
        return [without_zeros(item) for item in document]
    if not isinstance(document, dict):
        return document
    named = ((name, without_zeros(value)) for name, value in document.items() if name not in _OURS)
    return {name: value for name, value in named if value not in ("", 0, None, [], {})}


_OURS = ("netns", "problems", "type")


def _configuration(found: Endpoint) -> Document:
    return {
        "label-configuration": {"user": list(found.custom_labels)},
        "options": {name: option_word(name, value) for name, value in found.options.items()},
    }


def _policy_enabled(found: Endpoint) -> str:
    word = {
        (False, False): "none",
        (True, False): "ingress",
        (False, True): "egress",
        (True, True): "both",
    }[found.enforces_ingress, found.enforces_egress]
    return f"audit-{word}" if word != "none" and found.options["PolicyAuditMode"] else word
