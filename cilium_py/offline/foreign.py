"""A recording of a node of another Cilium -> the state directory that a node of ours would have.

Then every command reads it as it reads ours. Who is there is told by the agent's documents (told), else by what the
agent wrote of its endpoints for itself, else by the maps alone, which know neither names nor labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from typing import Any

from cilium_py.bpf.directory import Pins
from cilium_py.endpoint import history, states, store
from cilium_py.endpoint.model import Endpoint, Policy
from cilium_py.endpoint.options import OPTIONS, defaults
from cilium_py.endpoint.status import Condition
from cilium_py.loader import state
from cilium_py.maps import endpoint as endpoint_map
from cilium_py.maps import ipcache
from cilium_py.node.config import NodeConfig
from cilium_py.node.identity import RESERVED
from cilium_py.node.roster import DEFAULT_CLUSTER
from cilium_py.paths import NodePaths
from cilium_py.policy import document as rule_document
from cilium_py.policy import parse, repository
from cilium_py.policy.place import file_of
from cilium_py.policy.repository import Repository
from cilium_py.schema.text import unmapped
from cilium_py.snapshot.recording import Recording

from . import answers, told
from .nodes import rows, seen_nodes, told_nodes
from .told import Told, integer, part, text, texts

MOST_ID, MOST_IDENTITY = 0xFFFF, 0xFFFFFFFF


def write_state(pins: Recording, paths: NodePaths) -> tuple[set[str], set[str]]:
    """Complete the state directory of a recording by all that the recording says.

    Return the lists of which it says nothing, and those that its maps alone tell.
    """
    said = Told.read(pins)
    found, conditions = _endpoints(pins, paths, said)
    for endpoint in found.values():
        paths.endpoint(endpoint.id).mkdir(parents=True, exist_ok=True)
        store.save(paths.endpoint(endpoint.id), endpoint)
    _write(paths, f"{answers.DIRECTORY}/{answers.CONDITIONS}.json", {
        str(number): condition._asdict() for number, condition in conditions.items()
    })  # fmt: skip
    _write(paths, "identities/identities.json", {
        str(number): {"labels": list(labels), "users": []} for number, labels in _identities(pins, said, found).items()
    })  # fmt: skip
    named = told_nodes(said)
    nodes = named or seen_nodes(pins)
    _write(paths, "nodes.json", [node.document() for node in nodes])
    NodeConfig(said.own_name.removeprefix(f"{DEFAULT_CLUSTER}/") or "unknown").save(paths)
    knows_endpoints = found or {source.pin for source in endpoint_map.MAP.sources} & set(pins.names())
    silent_of = {word for word, is_known in (("endpoints", knows_endpoints), ("nodes", nodes)) if not is_known}
    has_labels = any(endpoint.labels for endpoint in found.values())
    beside = (("endpoints", has_labels), ("identities", has_labels or said.identities), ("nodes", named))
    return silent_of, {word for word, is_told in beside if not is_told}


def write_rules(recording: Recording, paths: NodePaths) -> bool:
    """Put the rules that the agent told where ours are; False if it told none. Raises WrongRule."""
    said = Told.read(recording)
    if not said.rules:
        return False
    written = parse.parse_file(rule_document.read(said.rules, "rules of the recording"))
    made = replace(Repository().replace((), written), revision=said.revision)
    state.make_directory(file_of(paths).parent)
    repository.save(paths, made)
    return True


def _write(paths: NodePaths, name: str, document: Any) -> None:
    path = paths.state_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def _endpoints(pins: Pins, paths: NodePaths, said: Told) -> tuple[dict[int, Endpoint], dict[int, Condition]]:
    """Every endpoint by the best that is known of it, and how it was."""
    found = _of_map(pins) | {each.id: each for each in _of_files(paths)}
    conditions = {number: Condition(states.UNKNOWN, [], enforces=False) for number in found}
    for document in said.endpoints:
        number = integer(document.get("id"), MOST_ID)
        if number:
            found[number] = _of_document(number, document)
            conditions[number] = Condition(text(part(document, "status", "state")) or states.UNKNOWN, [])
            _write_log(paths, number, part(document, "status", "log"))
    return found, conditions


def _of_document(number: int, document: Mapping[str, Any]) -> Endpoint:
    """An endpoint as the API has it."""
    status = document.get("status")
    names, net, own = (part(status, name) for name in ("external-identifiers", "networking", "labels"))
    realized = part(status, "policy", "realized")
    enforced = text(part(realized, "policy-enabled"))
    ingress, egress = (enforced.endswith((direction, "both")) for direction in ("ingress", "egress"))
    said = part(status, "realized", "options")
    switches = {name: int(part(said, name) == "Enabled") for name in OPTIONS if part(said, name) is not None}
    switches |= {"PolicyAuditMode": 1} if enforced.startswith("audit-") else {}
    pod = f"{text(part(names, 'k8s-namespace'))}/{text(part(names, 'k8s-pod-name'))}"
    return Endpoint(
        number,
        text(part(names, "pod-name")) or pod.strip("/") or text(part(names, "container-name")),
        text(part(net, "interface-name")),
        integer(part(net, "interface-index"), MOST_IDENTITY),
        told.mac(part(net, "host-mac")),
        text(part(net, "container-interface-name")),
        told.mac(part(net, "mac")),
        container_id=text(part(names, "container-id")),
        ipv4=told.ipv4(part(net, "addressing", 0, "ipv4")),
        ipv6=told.ipv6(part(net, "addressing", 0, "ipv6")),
        identity=integer(part(status, "identity", "id"), MOST_IDENTITY),
        labels=tuple(sorted(texts(part(status, "identity", "labels")))),
        custom_labels=texts(part(own, "realized", "user")),
        disabled_labels=texts(part(own, "disabled")),
        options={**defaults(), **switches},
        policy=Policy(integer(part(realized, "policy-revision"), told.MOST_REVISION), ingress, egress),
    )


def _of_files(paths: NodePaths) -> Iterator[Endpoint]:
    """The endpoints by what their agent wrote to find them again."""
    for number in store.ids(paths):
        try:
            document = json.loads((paths.endpoint(number) / store.DOCUMENT).read_bytes())
        except (OSError, ValueError):
            continue
        pod = f"{text(part(document, 'K8sNamespace'))}/{text(part(document, 'K8sPodName'))}"
        yield Endpoint(
            number,
            pod.strip("/") or text(part(document, "ContainerName")),
            text(part(document, "IfName")),
            integer(part(document, "IfIndex"), MOST_IDENTITY),
            told.mac(part(document, "NodeMAC")),
            text(part(document, "ContainerIfName")),
            told.mac(part(document, "LXCMAC")),
            container_id=text(part(document, "dockerID")),
            ipv4=told.ipv4(part(document, "IPv4")),
            ipv6=told.ipv6(part(document, "IPv6")),
            identity=integer(part(document, "SecLabel", "id"), MOST_IDENTITY),
            labels=tuple(sorted(told.labels(part(document, "SecLabel", "labels")))),
            disabled_labels=tuple(sorted(told.labels(part(document, "OpLabels", "Disabled")))),
        )


def _of_map(pins: Pins) -> dict[int, Endpoint]:
    """The endpoints by their addresses in the endpoint map."""
    found: dict[int, Endpoint] = {}
    for row in rows(endpoint_map.MAP, pins):
        if row.host or row.address is None or not row.endpoint_id:
            continue
        known = found.get(row.endpoint_id) or Endpoint(
            row.endpoint_id, "", "", row.ifindex, row.node_mac[:6], "", row.mac[:6], identity=row.identity
        )
        address = ip_address(unmapped(row.address))
        if isinstance(address, IPv4Address):
            found[known.id] = replace(known, ipv4=address)
        else:
            found[known.id] = replace(known, ipv6=address)
    return found


def _write_log(paths: NodePaths, number: int, log: Any) -> None:
    """The API has the newest first, our log last."""
    entries = [
        history.Entry(*(text(entry.get(name)) for name in history.Entry._fields))._asdict()
        for entry in reversed(told.objects(log))
    ]
    path = history.file_of(paths, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _identities(pins: Pins, said: Told, endpoints: Mapping[int, Endpoint]) -> dict[int, tuple[str, ...]]:
    """Identity -> labels; none for one that only the ipcache has."""
    found: dict[int, tuple[str, ...]] = {row.identity: () for row in rows(ipcache.MAP, pins)}
    found |= {each.identity: each.labels for each in endpoints.values()}
    for document in said.identities:
        found[integer(document.get("id"), MOST_IDENTITY)] = tuple(sorted(texts(document.get("labels"))))
    return {number: labels for number, labels in sorted(found.items()) if number > max(RESERVED.values())}
