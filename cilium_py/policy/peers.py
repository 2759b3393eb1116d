"""Peers of a rule, parsed: label selectors, CIDRs with exceptions, entities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from .document import Value
from .labels import NAMESPACE, LabelSelector, Operator, Requirement, selector_key
from .rule import Cidr, ClusterEndpoints, Direction, Entity, Network, Peer

ENTITIES = (
    "all", "world", "world-ipv4", "world-ipv6", "cluster", "host", "init", "ingress", "unmanaged", "remote-node",
    "health", "none", "kube-apiserver",
)  # fmt: skip
_KEY = re.compile(r"([a-z0-9][a-z0-9-]*:)?[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Words:
    """How the document around a rule changes the meaning of its selectors."""

    of_kubernetes: bool = False
    namespace: str = ""

    def peer(self, selector: LabelSelector) -> LabelSelector | ClusterEndpoints:
        """In a document, a selector that names no namespace means the document's own."""
        keys = [requirement.key.partition(":") for requirement in selector.requirements]
        if not self.of_kubernetes or any(source == "reserved" or key == NAMESPACE for source, _, key in keys):
            return selector
        if self.namespace:
            own = Requirement(f"k8s:{NAMESPACE}", Operator.IN, (self.namespace,))
            return LabelSelector((*selector.requirements, own))
        return selector if selector.requirements else ClusterEndpoints()


def parse_peers(
    fields: dict[str, Value], direction: Direction, section: Value, words: Words
) -> tuple[Peer, ...] | None:
    """The peers that a section's fields name; None if it names none and so means anyone."""
    side = "from" if direction is Direction.INGRESS else "to"
    names = [f"{side}{kind}" for kind in ("Endpoints", "CIDR", "CIDRSet", "Entities")]
    given = [name for name in names if name in fields and fields[name].data is not None]
    filled = [name for name in given if fields[name].items()]
    if len(filled) > 1:
        section.wrong(f"has both {filled[0]} and {filled[1]}", "write one section for each")
    if not given:
        return None
    found: list[Peer] = []
    for name in filled:
        for item in fields[name].items():
            match name.removeprefix(side):
                case "Endpoints":
                    found.append(words.peer(label_selector(item)))
                case "CIDR":
                    found.append(Cidr(_network(item, address_too=True)))
                case "CIDRSet":
                    found.append(_cidr_rule(item))
                case _:
                    found.append(_entity(item))
    return tuple(found)


def label_selector(value: Value) -> LabelSelector:
    """matchLabels and matchExpressions, all of which must hold."""
    if value.data is None:
        value.wrong("must be a mapping, not nothing", "write {} for everyone")
    fields = value.fields(("matchLabels", "matchExpressions"))
    requirements = []
    for key, item in fields["matchLabels"].mapping().items() if "matchLabels" in fields else ():
        content = "" if item.data is None else item.text()
        requirements.append(Requirement(_key(key, item), Operator.IN, (content,)))
    for item in fields["matchExpressions"].items() if "matchExpressions" in fields else ():
        requirements.append(_expression(item))
    return LabelSelector(tuple(requirements))


def _expression(value: Value) -> Requirement:
    fields = value.fields(("key", "operator", "values"))
    for name in ("key", "operator"):
        if name not in fields:
            value.wrong(f"has no {name}")
    try:
        operator = Operator(fields["operator"].text())
    except ValueError:
        fields["operator"].wrong(f"{fields['operator'].data!r} is not an operator", f"there are {', '.join(Operator)}")
    values = tuple(item.text() for item in fields["values"].items()) if "values" in fields else ()
    if (operator in (Operator.IN, Operator.NOT_IN)) != bool(values):
        value.wrong(f"{operator} takes {'values' if not values else 'no values'}")
    return Requirement(_key(fields["key"].text(), fields["key"]), operator, values)


def _key(text: str, value: Value) -> str:
    if not _KEY.fullmatch(text) or len(text) > 320:
        value.wrong(f"{text!r} is not a label key", "write key, or source:key")
    return selector_key(text)


def _network(value: Value, address_too: bool = False) -> Network:
    text = value.text()
    try:
        if not address_too and "/" not in text:
            raise ValueError("has no prefix length")
        if "%" in text:
            raise ValueError("has a zone")
        network: IPv4Network | IPv6Network = ip_network(text, strict=False)
        if "." in text.partition("/")[2]:
            raise ValueError("a mask instead of a prefix length")
    except ValueError as error:
        value.wrong(f"{text!r} is not a CIDR: {error}", "give one like 10.0.0.0/8 or fd00::/8")
    return network


def _cidr_rule(value: Value) -> Cidr:
    refused = dict.fromkeys(("cidrGroupRef", "cidrGroupSelector"), "groups of CIDRs, which are objects of Kubernetes")
    fields = value.fields(("cidr", "except"), refused)
    network = _network(fields["cidr"]) if "cidr" in fields else value.wrong("has no cidr")
    excepted = []
    for item in fields["except"].items() if "except" in fields else ():
        inner = _network(item)
        if inner.version != network.version or not inner.subnet_of(network):  # type: ignore[arg-type]  # one version
            item.wrong(f"{inner} is not within {network}")
        excepted.append(inner)
    return Cidr(network, tuple(excepted))


def _entity(value: Value) -> Entity:
    name = value.text()
    if name not in ENTITIES:
        value.wrong(f"{name!r} is not an entity", f"there are {', '.join(ENTITIES)}")
    return Entity(name)
