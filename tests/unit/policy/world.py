"""A small world for model tests: endpoints, roles and addresses, and the identity that each has on a node."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from cilium_py.node.identity import RESERVED
from cilium_py.policy import document, parse
from cilium_py.policy.cidr import CidrIdentity
from cilium_py.policy.desired import DesiredPolicy, Ports, desired
from cilium_py.policy.identities import Identities
from cilium_py.policy.repository import Repository
from cilium_py.policy.rule import Network
from tests.unit.policy import reading

FIRST_ENDPOINT, FIRST_CIDR = 256, (1 << 24) + 1


@dataclass(frozen=True)
class Pod:
    """An endpoint as policy sees it."""

    labels: tuple[str, ...]


def pod(labels: Mapping[str, str]) -> Pod:
    return Pod(tuple(f"container:{key}={value}" for key, value in labels.items()))


def repository(rules: list[dict[str, Any]]) -> Repository:
    return Repository().replace((), parse.parse_file([document.of_plain(rules, "rules")]))


class World:
    """Peers of every kind. The identities of CIDRs depend on the rules, as on a node."""

    def __init__(self, rng: random.Random, pods: int = 6) -> None:
        label_sets = {tuple(sorted(reading.random_labels(rng).items())) for _ in range(pods)}
        self.pods = dict(enumerate(sorted(label_sets), FIRST_ENDPOINT))
        self.peers = [
            *(reading.Peer(labels=frozenset(labels)) for labels in self.pods.values()),
            *(reading.Peer(role=role) for role in reading.ROLES),
            *(reading.Peer(address=address) for address in reading.ADDRESSES),
        ]

    def identities(self, *repositories: Repository) -> Identities:
        networks: set[Network] = set().union(*(known.networks() for known in repositories))
        cidrs = {
            number: CidrIdentity(number, network, frozenset((1,)))
            for number, network in enumerate(sorted(networks, key=str), FIRST_CIDR)
        }
        endpoints = {n: pod(dict(labels)).labels for n, labels in self.pods.items()}
        return Identities(endpoints, cidrs)

    def identity(self, peer: reading.Peer, identities: Identities) -> int:
        if peer.role:
            return RESERVED[peer.role]
        if peer.address:
            return identities.of_address(ip_network(peer.address))
        return next(number for number, labels in self.pods.items() if frozenset(labels) == peer.labels)


def policy_of(rules: Repository, identities: Identities, labels: Mapping[str, str]) -> DesiredPolicy:
    return desired(rules, identities, pod(labels), Ports(reading.NAMES, reading.NAMES))


def proxy_names(rules: Repository) -> dict[int, str]:
    """Port -> name of its proxy, in the words of the reading."""
    words = {"cilium-proxylib": "kafka", "cilium-http": "http", "cilium-dns": "dns"}
    names = {}
    for name, port in rules.proxy_ports.items():
        kind, _, direction = name.rpartition("-")
        names[port] = f"{words[kind]}-{direction}" if kind in words else name
    return names
