"""An endpoint, and its document `ep_config.json`, whose field names are Cilium's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from cilium_py.errors import WrongUsage
from cilium_py.loader.state import checked
from cilium_py.net.namespace import NetNamespace

from .options import OPTIONS, defaults

if TYPE_CHECKING:
    from cilium_py.node.entries import LocalEntry

_NAMED_PORT = r"(?P<name>[a-z0-9][a-z0-9-]{0,14})=(?P<port>[0-9]{1,5})(/(?P<protocol>[A-Za-z]+))?"


class Policy(NamedTuple):
    """Which revision of the rules the endpoint has, and the directions that they close by default."""

    revision: int = 0
    ingress: bool = False
    egress: bool = False


@dataclass(frozen=True)
class Endpoint:
    """A workload with an interface of its own. MACs are six bytes; an index or cookie of 0 is not known yet."""

    id: int
    name: str
    interface: str
    """The host side of the pair, where the programs sit."""
    interface_index: int = 0
    interface_mac: bytes = bytes(6)
    pod_interface: str = "eth0"
    pod_mac: bytes = bytes(6)
    netns: str | None = None
    """The network namespace of the workload, or None if someone else sees to it."""
    netns_cookie: int = 0
    container_id: str = ""
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    identity: int = 0
    labels: tuple[str, ...] = ()
    """Those that its identity stands for, in order."""
    custom_labels: tuple[str, ...] = ()
    """Those among them that were added by hand."""
    disabled_labels: tuple[str, ...] = ()
    """Labels of the workload that its identity leaves out, by hand."""
    options: Mapping[str, int] = field(default_factory=defaults)
    owns_interface: bool = False
    """Whether `add` made the interface pair, so that `delete` removes it."""
    policy: Policy = field(default_factory=Policy)
    named_ports: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> protocol and port, for rules that name ports."""

    @property
    def namespace(self) -> NetNamespace | None:
        return NetNamespace.parse(self.netns) if self.netns is not None else None

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)

    @property
    def enforces_ingress(self) -> bool:
        return self.policy.ingress or bool(self.options["IngressEnforcement"])

    @property
    def enforces_egress(self) -> bool:
        return self.policy.egress or bool(self.options["EgressEnforcement"])

    def with_options(self, changes: Mapping[str, int]) -> Endpoint:
        return replace(self, options={**self.options, **changes})

    def entry(self) -> LocalEntry:
        """What the endpoint map says of its addresses."""
        from cilium_py.node.entries import LocalEntry

        return LocalEntry(self.interface_index, self.id, self.pod_mac, self.interface_mac, self.identity)

    def switches(self) -> dict[str, int | bytes]:
        """The programs' options that many endpoints may share, by name."""
        switches: dict[str, int | bytes] = {OPTIONS[name].variable: value for name, value in self.options.items()}
        if self.policy.revision:
            # An open direction then has an entry that allows everything, so that no rule needs other programs.
            switches["enforce_ingress"] = switches["enforce_egress"] = 1
        return switches

    def settings(self) -> dict[str, int | bytes]:
        """The programs' options that are this endpoint's alone, by name."""
        return {
            "endpoint_id": self.id,
            "endpoint_ipv4": self.ipv4.packed if self.ipv4 else bytes(4),
            "endpoint_ipv6": self.ipv6.packed if self.ipv6 else bytes(16),
            "security_label": self.identity,
            "interface_ifindex": self.interface_index,
            "interface_mac": self.interface_mac.ljust(8, b"\0"),
        }

    def document(self) -> dict[str, Any]:  # what json writes
        labels = _by_key(self.labels)
        return {
            "ID": self.id,
            "ContainerName": self.name,
            "dockerID": self.container_id,
            "IfName": self.interface,
            "IfIndex": self.interface_index,
            "ParentIfIndex": 0,
            "ContainerIfName": self.pod_interface,
            "OpLabels": {
                "custom": _by_key(self.custom_labels),
                "disabled": _by_key(self.disabled_labels),
                "orchestrationIdentity": _by_key(label for label in self.labels if label not in self.custom_labels),
                "orchestrationInfo": {},
            },
            "LXCMAC": self.pod_mac.hex(":"),
            "IPv6": str(self.ipv6 or ""),
            "IPv6IPAMPool": "",
            "IPv4": str(self.ipv4 or ""),
            "IPv4IPAMPool": "",
            "NodeMAC": self.interface_mac.hex(":"),
            "SecLabel": {"id": self.identity, "labels": labels},
            "Options": {"map": dict(self.options)},
            "DNSRules": None,
            "DNSRulesV2": None,
            "DNSHistory": [],
            "DNSZombies": None,
            "K8sPodName": "",
            "K8sNamespace": "",
            "K8sUID": "",
            "DatapathConfiguration": {},
            "CiliumEndpointUID": "",
            "Properties": {
                "netns": self.netns,
                "owns-interface": self.owns_interface,
                "policy": self.policy._asdict(),
                "named-ports": {name: list(port) for name, port in self.named_ports.items()},
            },
            "NetnsCookie": self.netns_cookie,
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Endpoint:
        """Read what `document` wrote; ValueError if it is something else."""
        try:
            properties = document["Properties"]
            made = cls(
                id=int(document["ID"]),
                name=document["ContainerName"],
                interface=document["IfName"],
                interface_index=int(document["IfIndex"]),
                interface_mac=bytes.fromhex(document["NodeMAC"].replace(":", "")),
                pod_interface=document["ContainerIfName"],
                pod_mac=bytes.fromhex(document["LXCMAC"].replace(":", "")),
                netns=properties.get("netns"),
                netns_cookie=int(document["NetnsCookie"]),
                container_id=document["dockerID"],
                ipv4=IPv4Address(document["IPv4"]) if document["IPv4"] else None,
                ipv6=IPv6Address(document["IPv6"]) if document["IPv6"] else None,
                identity=int(document["SecLabel"]["id"]),
                labels=_texts(document["SecLabel"]["labels"]),
                custom_labels=_texts(document["OpLabels"]["custom"]),
                disabled_labels=_texts(document["OpLabels"]["disabled"]),
                options={**defaults(), **{k: v for k, v in document["Options"]["map"].items() if k in OPTIONS}},
                owns_interface=bool(properties.get("owns-interface")),
                policy=checked(Policy(**properties.get("policy", {}))),
                named_ports={
                    name: (int(protocol), int(port))
                    for name, (protocol, port) in properties.get("named-ports", {}).items()
                },
            )
            if not all(0 <= value <= OPTIONS[name].most for name, value in checked(made).options.items()):
                raise ValueError(f"options {str(made.options)[:60]}")
            return made
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an endpoint: {error!r}") from error


def parse_named_port(text: str) -> tuple[str, tuple[int, int]]:
    """`http=8080/TCP` as the name, and protocol and port; without a protocol it is TCP."""
    match = re.fullmatch(_NAMED_PORT, text)
    protocol = {"TCP": 6, "UDP": 17, "SCTP": 132}.get((match["protocol"] or "TCP").upper()) if match else None
    if match is None or protocol is None or not 0 < int(match["port"]) < 65536:
        raise WrongUsage(f"{text!r}: not a port by name", hint="write NAME=PORT/PROTOCOL, as http=8080/TCP")
    return match["name"], (protocol, int(match["port"]))


def _by_key(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    return {label["key"]: label for label in map(_label, labels)}


def _texts(labels: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(map(_text, labels.values()))


def _label(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    source, _, key = name.partition(":")
    return {"key": key, "value": value, "source": source}


def _text(label: Mapping[str, str]) -> str:
    name = f"{label['source']}:{label['key']}"
    return f"{name}={label['value']}" if label["value"] else name
