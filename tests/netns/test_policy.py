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
from tests.netns.conftest import running
from tests.netns.policy import TCP, UDP, Entry
from tests.netns.traffic import BRIEF, INET, INET6, SECONDS, listener, ping, socket_in, tcp, udp

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


@pytest.fixture(scope="module", params=["tcx", "stack"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One node with two pods: policy where the sender's program delivers, and where the host's stack does."""
    yield from running(request.param)


@pytest.fixture
def pods(lab: Lab) -> Iterator[Lab]:
    """The lab; afterwards its pods have no entries."""
    yield lab
    for endpoint_id in (1, 2):
        policy.clear(lab, "node1", endpoint_id)


def enforce(pods: Lab, endpoint_id: int = 0, option: str = "") -> None:
    """Let this endpoint enforce this direction, and nobody anything else."""
    paths = pods.paths("node1")
    for each in (1, 2):
        wanted = {word: int((each, word) == (endpoint_id, option)) for word in (IN, OUT)}
        if not wanted.items() <= store.load(paths, each).options.items():
            regenerate(paths, each, Build(options=wanted))


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("case", sorted(CASES, key=lambda case: case.option), ids=lambda case: case.name)
def test_policy_decides(pods: Lab, case: Case, family: int) -> None:
    own, other, egress = (2, 1, False) if case.option == IN else (1, 2, True)
    peer = store.load(pods.paths("node1"), other).identity
    for entry in case.entries:
        identity = peer if entry.identity == PEER else entry.identity
        policy.write(pods, "node1", own, egress, entry._replace(identity=identity))
    enforce(pods, own, case.option)
    port = {} if case.send is ping else {"port": PORT}
    patience = SECONDS if case.passes else BRIEF
    assert case.send(pods, "pod1", "pod2", family, patience=patience, **port) == case.passes


def test_the_other_direction_is_not_enforced(pods: Lab) -> None:
    """Who enforces ingress still speaks, and is answered."""
    enforce(pods, 2, IN)
    assert not tcp(pods, "pod1", "pod2", patience=BRIEF)
    assert tcp(pods, "pod2", "pod1")
    assert ping(pods, "pod2", "pod1")


def test_icmp_error_passes_with_its_flow(pods: Lab) -> None:
    """An error about what the pod was allowed to send comes in where nothing else does."""
    enforce(pods, 1, IN)
    with listener(pods, "pod2", INET, socket.SOCK_DGRAM) as closed:
        target = closed.getsockname()
    with socket_in(pods, "pod1", INET, socket.SOCK_DGRAM) as client:
        client.connect(target)
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
    assert not ping(pods, "pod2", "pod1", count=1, patience=BRIEF)


def test_a_deny_holds_without_enforcement(pods: Lab) -> None:
    enforce(pods)
    policy.write(pods, "node1", 2, False, Entry(0, TCP, PORT, deny=True))
    assert not tcp(pods, "pod1", "pod2", port=PORT, patience=BRIEF)
    assert tcp(pods, "pod1", "pod2", port=PORT + 1)


def test_fragments_follow_the_port_of_their_first(pods: Lab) -> None:
    """Later fragments carry no port; policy by port holds for them all the same."""
    enforce(pods, 2, IN)
    policy.write(pods, "node1", 2, False, Entry(0, UDP, PORT))
    assert udp(pods, "pod1", "pod2", port=PORT, size=6000)
    assert not udp(pods, "pod1", "pod2", port=PORT + 1, size=6000, patience=BRIEF)


def test_the_world_is_told_from_pods(pods: Lab) -> None:
    enforce(pods, 2, IN)
    policy.write(pods, "node1", 2, False, Entry(9))  # world-ipv4
    assert ping(pods, "world", pods.pod("pod2").ipv4)
    assert not ping(pods, "pod1", "pod2", count=1, patience=BRIEF)
    assert not ping(pods, "world", pods.pod("pod2").ipv6, INET6, count=1, patience=BRIEF)
