"""Pods on two nodes reach each other, each by the identity it has on its own node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cilium_py.endpoint import store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.lab import Lab
from tests.netns import policy
from tests.netns.policy import Entry
from tests.netns.traffic import BRIEF, INET, INET6, ping, tcp, udp


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("send", [tcp, udp, ping])
def test_across_nodes(two_nodes: Lab, send: Callable[..., bool], family: int) -> None:
    assert send(two_nodes, "pod1", "pod2", family)
    assert send(two_nodes, "pod2", "pod1", family)


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
def test_fragments_across_nodes(two_nodes: Lab, family: int) -> None:
    assert udp(two_nodes, "pod1", "pod2", family, size=6000)
    assert ping(two_nodes, "pod1", "pod2", family, size=6000)


def test_policy_knows_pods_of_other_nodes(two_nodes: Lab) -> None:
    home, away = two_nodes.paths("node2"), two_nodes.paths("node1")
    identity = store.load(away, 1).identity
    assert identity != store.load(home, 1).identity
    regenerate(home, 1, Build(options={"IngressEnforcement": 1}))
    assert not tcp(two_nodes, "pod1", "pod2", patience=BRIEF)
    assert not ping(two_nodes, "node1", "pod2", count=1, patience=BRIEF)
    policy.write(two_nodes, "node2", 1, False, Entry(identity))
    assert tcp(two_nodes, "pod1", "pod2")
    assert not ping(two_nodes, "node1", "pod2", count=1, patience=BRIEF)
    policy.clear(two_nodes, "node2", 1)
    regenerate(home, 1, Build(options={"IngressEnforcement": 0}))


def test_nodes_keep_apart(two_nodes: Lab) -> None:
    """Each node has its own endpoint 1, maps and state."""
    names = [store.load(two_nodes.paths(node), 1).name for node in two_nodes.node_names]
    assert names == ["pod1", "pod2"]
