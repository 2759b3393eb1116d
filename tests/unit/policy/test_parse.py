"""Files of rules: what is understood, and what is refused with which words."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cilium_py.policy import document, parse
from cilium_py.policy.document import WrongRule
from cilium_py.policy.labels import LabelSelector, LabelSet, Operator, Requirement
from cilium_py.policy.rule import (
    AuthType,
    Cidr,
    ClusterEndpoints,
    Direction,
    Entity,
    IcmpType,
    NamedPort,
    Port,
    Redirect,
    Rule,
)

POLICY = """\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: web
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
  - fromEndpoints:
    - matchLabels:
        app: front
    - {}
    toPorts:
    - ports:
      - port: "8080"
        protocol: TCP
"""


def rules(text: str) -> list[Rule]:
    return [written.rule for written in parse.parse_file(document.read(text, "rules.yaml"))]


def rule(**sections: Any) -> Rule:
    """A bare rule, written as JSON."""
    (found,) = rules(json.dumps({"endpointSelector": {}, **sections}))
    return found


def equals(key: str, value: str) -> Requirement:
    return Requirement(key, Operator.IN, (value,))


def test_a_document_of_a_namespace() -> None:
    (found,) = rules(POLICY)
    shop = equals("k8s:io.kubernetes.pod.namespace", "shop")
    assert found.subject == LabelSelector((equals("any:app", "web"), shop))
    (passage,) = found.passages
    assert passage.peers == (LabelSelector((equals("any:app", "front"), shop)), LabelSelector((shop,)))
    assert passage.ports == ((Port(6, 8080, 8080), None),)
    assert found.default_deny == (True, False)
    assert found.name == "shop/web"
    assert "k8s:io.cilium.k8s.policy.name=web" in found.labels


def test_an_empty_peer_of_a_clusterwide_document_is_every_endpoint() -> None:
    text = POLICY.replace("kind: Cilium", "kind: CiliumClusterwide").replace("  namespace: shop\n", "")
    (found,) = rules(text)
    assert found.passages[0].peers == (LabelSelector((equals("any:app", "front"),)), ClusterEndpoints())


def test_an_empty_peer_of_a_bare_rule_is_everyone() -> None:
    assert rule(ingress=[{"fromEndpoints": [{}]}]).passages[0].peers == (LabelSelector(),)


@pytest.mark.parametrize(
    ("sections", "default_deny"),
    [
        ({}, (False, False)),
        ({"ingress": []}, (False, False)),
        ({"ingress": [{}]}, (True, False)),
        ({"egressDeny": [{"toEntities": ["world"]}]}, (False, True)),
        ({"ingress": [{}], "enableDefaultDeny": {"ingress": False}}, (False, False)),
        ({"enableDefaultDeny": {"egress": True}}, (False, True)),
    ],
)
def test_a_direction_that_is_spoken_of_is_closed(sections: dict[str, Any], default_deny: tuple[bool, bool]) -> None:
    assert rule(**sections).default_deny == default_deny


@pytest.mark.parametrize(
    ("section", "peers"),
    [
        ({}, None),
        ({"fromEndpoints": []}, ()),
        ({"fromEntities": ["world", "host"]}, (Entity("world"), Entity("host"))),
        ({"fromCIDR": ["10.0.0.7", "fd00::/8"]}, (Cidr(ip_network("10.0.0.7/32")), Cidr(ip_network("fd00::/8")))),
        (
            {"fromCIDRSet": [{"cidr": "10.1.2.3/8", "except": ["10.2.0.0/16"]}]},
            (Cidr(ip_network("10.0.0.0/8"), (ip_network("10.2.0.0/16"),)),),
        ),
        (
            {"fromEndpoints": [{"matchExpressions": [{"key": "k8s:tier", "operator": "NotIn", "values": ["1", "2"]}]}]},
            (LabelSelector((Requirement("k8s:tier", Operator.NOT_IN, ("1", "2")),)),),
        ),
    ],
    ids=["none", "nobody", "entities", "CIDRs", "except", "expression"],
)
def test_peers(section: dict[str, Any], peers: Any) -> None:
    assert rule(ingress=[section]).passages[0].peers == peers


HTTP, DNS = Redirect("http", None, 101), Redirect("dns", None, 121)


@pytest.mark.parametrize(
    ("section", "ports"),
    [
        ({"toPorts": [{"ports": [{"port": "80"}]}]}, ((Port(None, 80, 80), None),)),
        ({"toPorts": [{"ports": [{"port": 80, "protocol": "udp"}]}]}, ((Port(17, 80, 80), None),)),
        ({"toPorts": [{"ports": [{"port": "0", "protocol": "SCTP"}]}]}, ((Port(132, 0, 0), None),)),
        ({"toPorts": [{"ports": [{"port": "80", "endPort": 90}]}]}, ((Port(None, 80, 90), None),)),
        ({"toPorts": [{"ports": [{"port": "HTTP-alt"}]}]}, ((NamedPort(None, "http-alt"), None),)),
        (
            {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": []}}]},
            ((Port(6, 80, 80), HTTP),),
        ),
        (
            {"toPorts": [{"ports": [{"port": "53"}], "rules": {"dns": [{"matchPattern": "*"}]}}]},
            ((Port(None, 53, 53), DNS),),
        ),
        (
            {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}], "listener": {
                "envoyConfig": {"kind": "CiliumEnvoyConfig", "name": "e"}, "name": "l", "priority": 5}}]},
            ((Port(6, 443, 443), Redirect("crd", "e/l", 5)),),
        ),
        (
            {"toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}], "serverNames": ["example.org"]}]},
            ((Port(6, 443, 443), Redirect("tls", None, 116)),),
        ),
        ({"icmps": [{"fields": [{"type": 8}]}]}, ((IcmpType(1, 8), None),)),
        (
            {"icmps": [{"fields": [{"type": "EchoRequest", "family": "IPv6"}, {"type": "EchoReply"}]}]},
            ((IcmpType(58, 128), None), (IcmpType(1, 0), None)),
        ),
    ],
)  # fmt: skip
def test_ports(section: dict[str, Any], ports: Any) -> None:
    assert rule(egress=[section]).passages[0].ports == ports


def test_authentication_labels_and_description() -> None:
    found = rule(
        ingress=[{"authentication": {"mode": "required"}}],
        labels=["app=web", {"key": "team", "value": "a", "source": "k8s"}],
        description="who may come in",
    )
    assert found.passages[0].auth is AuthType.SPIRE
    assert found.labels == ("unspec:app=web", "k8s:team=a")
    assert found.description == "who may come in"


def test_sections_know_where_they_stand() -> None:
    found = rule(ingress=[{}, {}], egressDeny=[{"toEntities": ["all"]}])
    assert [passage.path for passage in found.passages] == ["ingress[0]", "ingress[1]", "egressDeny[0]"]
    assert found.passages[2].deny
    assert found.passages[2].direction is Direction.EGRESS


class Wrong(NamedTuple):
    name: str
    section: dict[str, Any]
    says: str


def to_ports(*ports: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"toPorts": [{"ports": list(ports), **more}]}


WRONG = [
    Wrong("a field that is none", {"toPort": []}, "egress[0].toPort: no such field"),
    Wrong("requirements", {"toRequires": [{}]}, "egress[0].toRequires: not supported"),
    Wrong("names", {"toFQDNs": [{"matchName": "a"}]}, "egress[0].toFQDNs: not supported"),
    Wrong("services", {"toServices": []}, "egress[0].toServices: not supported"),
    Wrong("two kinds of peers", {"toCIDR": ["10.0.0.0/8"], "toEntities": ["all"]}, "has both toCIDR and toEntities"),
    Wrong("no CIDR", {"toCIDR": ["10.0.0.0/33"]}, "egress[0].toCIDR[0]: '10.0.0.0/33' is not a CIDR"),
    Wrong("a mask", {"toCIDR": ["10.0.0.0/255.0.0.0"]}, "is not a CIDR"),
    Wrong("a number for a CIDR", {"toCIDR": [10]}, "must be text, not a number"),
    Wrong("an address in a set", {"toCIDRSet": [{"cidr": "10.0.0.1"}]}, "toCIDRSet[0].cidr: '10.0.0.1' is not a CIDR"),
    Wrong("an exception outside", {"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["fd00::/8"]}]}, "is not within"),
    Wrong("a group of CIDRs", {"toCIDRSet": [{"cidrGroupRef": "x"}]}, "cidrGroupRef: not supported"),
    Wrong("no entity", {"toEntities": ["moon"]}, "toEntities[0]: 'moon' is not an entity"),
    Wrong("no port", to_ports({"protocol": "TCP"}), "ports[0]: has no port"),
    Wrong("a port too large", to_ports({"port": "65536"}), "ports[0].port: must be a port from 0 to 65535"),
    Wrong("a name too long", to_ports({"port": "a-very-long-port-name"}), "neither a port nor the name of one"),
    Wrong("an empty range", to_ports({"port": "90", "endPort": 80}), "endPort: the range 90 to 80 is empty"),
    Wrong("a range by name", to_ports({"port": "http", "endPort": 80}), "a port by name is not a range"),
    Wrong("no protocol", to_ports({"port": "80", "protocol": "QUIC"}), "protocol: 'QUIC' is not a protocol"),
    Wrong("no ports", {"toPorts": [{}]}, "toPorts[0]: names no ports"),
    Wrong("many ports", to_ports(*[{"port": "80"}] * 41), "has 41 ports, at most 40 are allowed"),
    Wrong("HTTP over UDP", to_ports({"port": "80", "protocol": "UDP"}, rules={"http": []}), "L7 rules apply to TCP"),
    Wrong("HTTP on all ports", to_ports({"port": "0", "protocol": "TCP"}, rules={"http": []}), "other than 0"),
    Wrong("two parsers", to_ports({"port": "80", "protocol": "TCP"}, rules={"http": [], "kafka": []}), "has both"),
    Wrong("L7 without protocol", to_ports({"port": "80", "protocol": "TCP"}, rules={"l7": []}), "needs l7proto"),
    Wrong("ports and types", {**to_ports({"port": "80"}), "icmps": [{"fields": [{"type": 8}]}]}, "both toPorts and"),
    Wrong("a type too large", {"icmps": [{"fields": [{"type": 256}]}]}, "must be a number from 0 to 255"),
    Wrong("no type", {"icmps": [{"fields": [{"type": "Hello"}]}]}, "'Hello' is not a type of ICMP for IPv4"),
    Wrong("no selector", {"toEndpoints": [None]}, "toEndpoints[0]: must be a mapping, not nothing"),
    Wrong("no operator", {"toEndpoints": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]}, "not an operator"),
    Wrong("In nothing", {"toEndpoints": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}, "In takes values"),
    Wrong("no key", {"toEndpoints": [{"matchLabels": {"a b": "c"}}]}, "'a b' is not a label key"),
    Wrong("a value that is true", {"toEndpoints": [{"matchLabels": {"a": True}}]}, "must be text, not a truth value"),
    Wrong("no mode", {"authentication": {"mode": "maybe"}}, "authentication.mode: 'maybe' is not a mode"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_wrong_sections_are_refused(case: Wrong) -> None:
    with pytest.raises(WrongRule) as refused:
        rule(egress=[case.section])
    assert refused.value.message.startswith("rules.yaml:1: egress[0]")
    assert case.says in refused.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            POLICY.replace('port: "8080"', 'port: "80800"'),
            "rules.yaml:17: spec.ingress[0].toPorts[0].ports[0].port: must",
        ),
        (
            POLICY.replace("      app: web", "      app: [web]"),
            "rules.yaml:9: spec.endpointSelector.matchLabels.app: must",
        ),
        (POLICY.replace("fromEndpoints", "fromEndpoint"), "rules.yaml:11: spec.ingress[0].fromEndpoint: no such field"),
        (POLICY.replace("cilium.io/v2", "v1"), "rules.yaml:1: apiVersion: apiVersion must be cilium.io/v2"),
        (POLICY.replace("kind: Cilium", "kind: "), "rules.yaml:2: kind: 'NetworkPolicy' is not a kind of policy"),
        (POLICY.replace("  name: web\n", ""), "rules.yaml:3: metadata: has no name"),
        (POLICY + "---\n" + POLICY.replace("spec:", "spek:"), "rules.yaml:25: spek: no such field"),
        ("a: [1\nb: 2", "rules.yaml:2: not YAML or JSON: "),
        ("a: &x 1\nb: *x", "rules.yaml:2: b: aliases are not supported"),
        ("a: 1\na: 2", "rules.yaml:2: a: given twice"),
        ("? [a]\n: 1", "rules.yaml:1: the name of a field must be text"),
        ("[" * 200000, "nested deeper than 64 levels"),
        ("a: \x00", "rules.yaml: not YAML or JSON"),
        ("3", "rules.yaml:1: must be a mapping, not a number"),
        ("ingress: []", "rules.yaml:1: has no endpointSelector"),
        ("endpointSelector: {}\nnodeSelector: {}", "rules.yaml:2: nodeSelector: not supported: policies of the host"),
    ],
)
def test_wrong_files_are_refused_with_line_and_field(text: str, message: str) -> None:
    with pytest.raises(WrongRule) as refused:
        rules(text)
    assert message in refused.value.message


def test_deny_has_no_proxy() -> None:
    with pytest.raises(WrongRule, match=r"ingressDeny\[0\].toPorts\[0\].rules: not supported"):
        rule(ingressDeny=[to_ports({"port": "80", "protocol": "TCP"}, rules={"http": []})])


def test_json_that_yaml_would_not_read() -> None:
    (found,) = rules('{\n\t"endpointSelector":\t{},\n\t"description": "a\\tb \\ud83d\\ude00 \\/ \\\\u0041"\n}')
    assert found.description == "a\tb \U0001f600 / \\u0041"


def test_lists_and_documents_are_read_one_after_the_other() -> None:
    kubernetes_list = "kind: List\napiVersion: v1\nitems:\n" + "".join(
        f"  {line}\n" for line in ("- " + POLICY.replace("\n", "\n  ")).split("\n")
    )
    assert [found.name for found in rules(POLICY + "---\n" + kubernetes_list)] == ["shop/web", "shop/web"]
    assert len(rules('[{"endpointSelector": {}}, {"endpointSelector": {}}]')) == 2
    specs = POLICY.replace("spec:\n", "specs:\n-\n")
    assert [found.name for found in rules(specs)] == ["shop/web"]


def test_what_is_stored_is_read_again() -> None:
    (written,) = parse.parse_file(document.read(POLICY, "rules.yaml"))
    stored = json.loads(json.dumps(written.document()))
    assert parse.parse_stored(document.of_plain(stored, "rules.json")).rule == written.rule


LABELS = LabelSet(("k8s:app=web", "container:app=db", "reserved:host"))


@pytest.mark.parametrize(
    ("requirement", "matches"),
    [
        (equals("any:app", "web"), True),
        (equals("any:app", "db"), True),
        (equals("k8s:app", "db"), False),
        (equals("reserved:host", ""), True),
        (Requirement("any:env", Operator.NOT_IN, ("prod",)), True),
        (Requirement("k8s:app", Operator.NOT_IN, ("web",)), False),
        (Requirement("any:app", Operator.EXISTS), True),
        (Requirement("any:env", Operator.EXISTS), False),
        (Requirement("any:env", Operator.DOES_NOT_EXIST), True),
    ],
    ids=str,
)
def test_requirements(requirement: Requirement, matches: bool) -> None:
    assert requirement.matches(LABELS) is matches


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "endpointSelector", "ingress", "egressDeny", "fromEndpoints", "toCIDRSet", "toPorts", "ports", "port", "icmps",
        "matchLabels", "matchExpressions", "kind", "apiVersion", "metadata", "spec", "labels", "fields", "type",
    ]), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


def refusal(text: str) -> str:
    """What is said against a text; empty if it holds rules."""
    try:
        rules(text)
    except WrongRule as refused:
        return refused.message
    return ""


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_whatever_a_file_holds_ends_in_rules_or_a_refusal(data: Any) -> None:
    assert refusal(json.dumps(data)).startswith(("rules.yaml", ""))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_whatever_text_ends_in_rules_or_a_refusal(text: str) -> None:
    assert refusal(text).startswith(("rules.yaml", ""))
