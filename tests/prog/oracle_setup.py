"""What a folder of recorded cases says: the node they were recorded on, the packets, and what became of them."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.prog.datapath import Endpoint, Options

CHECKED_MAPS = (
    "cilium_ct4_global",
    "cilium_ct_any4_global",
    "cilium_ct6_global",
    "cilium_ct_any6_global",
    "cilium_ipv4_frag_datagrams",
    "cilium_ipv6_frag_datagrams",
    "cilium_policystats",
)
"""The maps that a packet changes and whose content is promised."""


@dataclass(frozen=True)
class Change:
    """An entry of a map set before a step; value None: deleted."""

    map: str
    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Step:
    """One packet: where it goes in, and the recorded outcome."""

    endpoint: int
    entry: str
    packet: bytes
    ifindex: int
    ingress_ifindex: int
    mark: int
    cb: tuple[int, ...]
    changes: tuple[Change, ...]
    expected: Mapping[str, Any]  # JSON: its fields differ in type


@dataclass(frozen=True)
class Case:
    """Packets that follow each other on one node."""

    name: str
    variant: str
    steps: tuple[Step, ...]


class NotARecording(Exception):
    """The folder does not hold what it should; said in one line."""


class Setup:
    """The node of setup.json, and the cases of cases.json. All of it is read at once: NotARecording, or it is whole."""

    def __init__(self, directory: Path) -> None:
        with _reading(directory / "setup.json") as document:
            self._node: Mapping[str, Any] = document
            self.network: Sequence[str] = tuple(document["netns_commands"])
            self.endpoints = {name: _endpoint(told) for name, told in document["endpoints"].items()}
            self.entries = tuple(self._entries())
            self.options = {variant: self._options(variant) for variant in document["variants"]}
        with _reading(directory / "cases.json") as document:
            self.cases = tuple(map(self._case, document["cases"]))

    def _case(self, case: Mapping[str, Any]) -> Case:
        try:
            if case["variant"] not in self.options:
                raise ValueError(f"no variant {case['variant']}")
            return Case(case["name"], case["variant"], tuple(map(self._step, case["steps"])))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"case {case['name']}: {_told(error)}") from error

    def _step(self, step: Mapping[str, Any]) -> Step:
        told, expected = step["in"], step["out"]
        if "rejected_by_kernel" not in expected:
            _ = expected["ret"], expected["pkt"], expected["mark"]
        return Step(
            endpoint=self.endpoints[told["ep"]].id,
            entry=told["prog"],
            packet=bytes.fromhex(told["pkt"]),
            ifindex=told["ifindex"],
            ingress_ifindex=told["ingress_ifindex"],
            mark=told.get("mark", 0),
            cb=tuple(told.get("cb", (0,) * 5)),
            changes=tuple(
                Change(change["map"], bytes.fromhex(change["key"]), _octets(change["value"]))
                for change in told.get("set_before", ())
            ),
            expected=expected,
        )

    def _entries(self) -> Iterator[Change]:
        """The initial content of the maps."""
        for name, content in self._node["maps"].items():
            for key, value in content.get("entries", ()):
                yield Change(name, bytes.fromhex(key), bytes.fromhex(value))

    def _options(self, variant: str) -> Options:
        """The options of our objects that say what the recording's configuration said."""
        told = {**self._node["common_options"], **self._node["variants"][variant]}
        lifetimes, node = told["ct_lifetimes_s"], self._node["node"]
        return {
            "enable_ipv4": told["ipv4"],
            "enable_ipv6": told["ipv6"],
            "enable_ipv4_fragments": told["ipv4_fragments"],
            "enable_ipv6_fragments": told["ipv6_fragments"],
            "enable_endpoint_routes": told["endpoint_routes"],
            "enable_icmp_fragments": False,  # the original cannot
            "enable_arp_responder": told["arp_responder"],
            "enable_icmp_rule": told["icmp_rules"],
            "allow_icmp_frag_needed": told["allow_icmp_frag_needed"],
            "enable_source_ip_verification": told["source_ip_verification"],
            "enable_identity_mark": told["identity_mark"],
            "enable_per_packet_lb": told["per_packet_lb"],
            "enable_service_protocol_differentiation": told["service_protocol_differentiation"],
            "enable_no_backend_response": told["no_backend_response"],
            "enable_drop_notify": told["drop_notify"],
            "enable_trace_notify": told["trace_notify"],
            "enable_policy_verdict_notify": told["policy_verdict_notify"],
            "policy_verdict_log_filter": told["policy_verdict_log_filter"],
            "monitor_aggregation": told["monitor_aggregation"],
            "trace_payload_len": told["trace_payload_len"],
            "enable_policy_accounting": told["policy_accounting"],
            "policy_audit_mode": told["policy_audit"],
            "debug": told["debug"],
            "enable_local_delivery_metrics": told["local_delivery_metrics"],
            "enable_host_routing": told["host_routing"],
            "enable_conntrack_accounting": told["ct_accounting"],
            "enable_sctp": told["sctp"],
            "ct_connection_lifetime_tcp": lifetimes["tcp"],
            "ct_connection_lifetime_nontcp": lifetimes["nontcp"],
            "ct_service_lifetime_tcp": lifetimes["service_tcp"],
            "ct_service_lifetime_nontcp": lifetimes["service_nontcp"],
            "ct_syn_timeout": lifetimes["syn"],
            "ct_close_timeout": lifetimes["close"],
            "ct_report_interval": lifetimes["report_interval"],
            "cilium_net_ifindex": told["net_ifindex"],
            "world_id_ipv4": told["world_identity"]["ipv4"],
            "world_id_ipv6": told["world_identity"]["ipv6"],
            "cilium_host_mac": self._host_mac() + b"\0\0",
            "router_ipv6": _address(node["router_ipv6"]),
            "service_loopback_ipv4": _address(node["service_loopback_ipv4"]),
        }

    def _host_mac(self) -> bytes:
        found = re.search(r"name cilium_host .*?address ([0-9a-f:]+)", "\n".join(self.network))
        if not found:
            raise ValueError("no command that makes a cilium_host with an address")
        return _mac(found[1])


@contextmanager
def _reading(path: Path) -> Iterator[Any]:  # JSON
    """The document of a file; what is missing or malformed in it becomes NotARecording."""
    try:
        yield json.loads(path.read_text())
    except OSError as error:
        raise NotARecording(f"{path}: {error.strerror}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotARecording(f"{path}: not a recording: {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _endpoint(told: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        id=told["id"],
        ipv4=_address(told["ipv4"]),
        ipv6=_address(told["ipv6"]),
        identity=told["identity"],
        ifindex=told["lxc_ifindex"],
        lxc_mac=_mac(told["lxc_mac"]),
        pod_mac=_mac(told["pod_mac"]),
    )


def _address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
