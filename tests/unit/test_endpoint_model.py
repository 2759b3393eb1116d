"""An endpoint's document is read back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from cilium_py.endpoint.model import Endpoint
from cilium_py.endpoint.options import OPTIONS, parse_option
from cilium_py.errors import WrongUsage
from cilium_py.loader import header

ENDPOINT = Endpoint(
    id=7,
    name="web",
    interface="lxcweb",
    interface_index=12,
    interface_mac=bytes.fromhex("02aabbccddee"),
    pod_mac=bytes.fromhex("02aabbccddef"),
    netns="web",
    netns_cookie=99,
    container_id="0123abcd",
    ipv4=IPv4Address("10.244.1.7"),
    ipv6=IPv6Address("fd10::7"),
    identity=256,
    labels=("container:app=web", "k8s:zone"),
    owns_interface=True,
)


def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(ENDPOINT.document()))
    return read


def test_read_back() -> None:
    assert Endpoint.of_document(document()) == ENDPOINT


def test_field_names_are_the_originals() -> None:
    """Another tool restores endpoints from these."""
    assert {
        "ID", "ContainerName", "dockerID", "IfName", "IfIndex", "ParentIfIndex", "ContainerIfName", "OpLabels",
        "LXCMAC", "IPv4", "IPv6", "NodeMAC", "SecLabel", "Options", "DNSRules", "DNSHistory", "DNSZombies",
        "K8sPodName", "K8sNamespace", "K8sUID", "DatapathConfiguration", "CiliumEndpointUID", "Properties",
        "NetnsCookie",
    } <= document().keys()  # fmt: skip


@pytest.mark.parametrize("missing", ["ID", "IfName", "LXCMAC", "SecLabel", "Options", "Properties"])
def test_incomplete(missing: str) -> None:
    with pytest.raises(ValueError, match="not an endpoint"):
        Endpoint.of_document({name: value for name, value in document().items() if name != missing})


@pytest.mark.parametrize(
    ("field", "value"), [("ID", "x"), ("IPv4", "10.0.0"), ("LXCMAC", "zz"), ("SecLabel", None), ("Options", [])]
)
def test_wrong(field: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each names its own field
        Endpoint.of_document({**document(), field: value})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("Debug=enable", ("Debug", 1)),
        ("debug=Disabled", ("Debug", 0)),
        ("IngressEnforcement=true", ("IngressEnforcement", 1)),
        ("MonitorAggregationLevel=3", ("MonitorAggregationLevel", 3)),
    ],
)
def test_options(text: str, parsed: tuple[str, int]) -> None:
    assert parse_option(text) == parsed


@pytest.mark.parametrize("text", ["", "Debug", "Debug=2", "Nope=1", "MonitorAggregationLevel=4", "Debug=-1", "Debug=²"])
def test_wrong_options(text: str) -> None:
    with pytest.raises(WrongUsage):
        parse_option(text)


def test_every_option_has_a_default() -> None:
    assert ENDPOINT.switches().keys() >= {option.variable for option in OPTIONS.values()}


def test_header_cannot_be_broken_by_a_name() -> None:
    text = header.render({"debug": 1, "endpoint_ipv4": b"\x0a\x00\x00\x01"}, {"Name": "*/ #define EVIL\nx"})
    assert text.count("*/") == 1
    assert "#define DEBUG 1" in text
    assert "#define ENDPOINT_IPV4 { 0x0a, 0x00, 0x00, 0x01 }" in text
