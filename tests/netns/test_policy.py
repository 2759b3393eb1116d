"""What policy denies does not pass, and what it allows does: enforcement by direction, entries of the map."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from cilium_py.endpoint import store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.lab import Lab
from tests.netns import policy
from tests.netns.policy import TCP, UDP, Entry
from tests.netns.traffic import INET, INET6, listener, ping, socket_in, tcp, udp

PORT = 8080
PEER = 1
"""Stands for the identity of the other pod."""
NOBODY = 9999

IN, OUT = "IngressEnforcement", "EgressEnforcement"


class Case(NamedTuple):
    """pod1 sends to pod2, which enforces ingress, or pod1 itself enforces egress."""

    name: str
    option: str
    entries: tuple[Entry, ...]
    send: Callable[..., bool]
    passes: bool


CASES = [
    Case("nothing is allowed in", IN, (), tcp, False),
    Case("nothing is allowed out", OUT, (), tcp, False),
    Case("no datagram is allowed in", IN, (), udp, False),
    Case("no ping is allowed out", OUT, (), ping, False),
    Case("the peer is allowed in", IN, (Entry(PEER),), tcp, True),
    Case("the peer is allowed in, by ping", IN, (Entry(PEER),), ping, True),
    Case("the peer is allowed as destination", OUT, (Entry(PEER),), udp, True),
    Case("the port is allowed in", IN, (Entry(PEER, TCP, PORT),), tcp, True),
    Case("the port is allowed as destination", OUT, (Entry(PEER, TCP, PORT),), tcp, True),
    Case("the port is allowed in for all", IN, (Entry(0, UDP, PORT),), udp, True),
    Case("the protocol is allowed in", IN, (Entry(PEER, TCP),), tcp, True),
    Case("another port is allowed in", IN, (Entry(PEER, TCP, PORT + 1),), tcp, False),
    Case("another protocol is allowed in", IN, (Entry(PEER, UDP, PORT),), tcp, False),
    Case("another identity is allowed in", IN, (Entry(NOBODY),), tcp, False),
    Case("a denied port of an allowed peer", IN, (Entry(PEER), Entry(PEER, TCP, PORT, True)), tcp, False),
    Case("another denied port of an allowed peer", IN, (Entry(PEER), Entry(PEER, TCP, 9, True)), tcp, True),
    Case("an allowed port of a denied peer", IN, (Entry(PEER, deny=True), Entry(0, TCP, PORT)), tcp, False),
]


@pytest.fixture
def pods(lab: Lab) -> Iterator[Lab]:
    """The lab; afterwards its pods enforce nothing and have no entries."""
    yield lab
    for endpoint_id in (1, 2):
        policy.clear(lab, "node1", endpoint_id)
        regenerate(lab.paths("node1"), endpoint_id, Build(options={IN: 0, OUT: 0}))


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_policy_decides(pods: Lab, case: Case, family: int) -> None:
    own, other, egress = (2, 1, False) if case.option == IN else (1, 2, True)
    peer = store.load(pods.paths("node1"), other).identity
    for entry in case.entries:
        identity = peer if entry.identity == PEER else entry.identity
        policy.write(pods, "node1", own, egress, entry._replace(identity=identity))
    regenerate(pods.paths("node1"), own, Build(options={case.option: 1}))
    port = {} if case.send is ping else {"port": PORT}
    assert case.send(pods, "pod1", "pod2", family, **port) == case.passes


def test_the_other_direction_is_not_enforced(pods: Lab) -> None:
    """Who enforces ingress still speaks, and is answered."""
    regenerate(pods.paths("node1"), 2, Build(options={IN: 1}))
    assert not tcp(pods, "pod1", "pod2")
    assert tcp(pods, "pod2", "pod1")
    assert ping(pods, "pod2", "pod1")


def test_icmp_error_passes_with_its_flow(pods: Lab) -> None:
    """An error about what the pod was allowed to send comes in where nothing else does."""
    regenerate(pods.paths("node1"), 1, Build(options={IN: 1}))
    with listener(pods, "pod2", INET, socket.SOCK_DGRAM) as closed:
        target = closed.getsockname()
    with socket_in(pods, "pod1", INET, socket.SOCK_DGRAM) as client:
        client.connect(target)
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
    assert not ping(pods, "pod2", "pod1", count=1)


def test_a_deny_holds_without_enforcement(pods: Lab) -> None:
    policy.write(pods, "node1", 2, False, Entry(0, TCP, PORT, deny=True))
    assert not tcp(pods, "pod1", "pod2", port=PORT)
    assert tcp(pods, "pod1", "pod2", port=PORT + 1)


def test_fragments_follow_the_port_of_their_first(pods: Lab) -> None:
    """Later fragments carry no port; policy by port holds for them all the same."""
    regenerate(pods.paths("node1"), 2, Build(options={IN: 1}))
    policy.write(pods, "node1", 2, False, Entry(0, UDP, PORT))
    assert udp(pods, "pod1", "pod2", port=PORT, size=6000)
    assert not udp(pods, "pod1", "pod2", port=PORT + 1, size=6000)


def test_the_world_is_told_from_pods(pods: Lab) -> None:
    regenerate(pods.paths("node1"), 2, Build(options={IN: 1}))
    policy.write(pods, "node1", 2, False, Entry(9))  # world-ipv4
    assert ping(pods, "world", pods.pod("pod2").ipv4)
    assert not ping(pods, "pod1", "pod2", count=1)
    assert not ping(pods, "world", pods.pod("pod2").ipv6, INET6, count=1)
