"""What policy denies does not pass, and what it allows does: enforcement by direction, entries of the map."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from cilium_py.endpoint import store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.lab import Lab
from tests.netns.conftest import Cilium, cilium_on
from tests.netns.traffic import INET, INET6, listener, ping, socket_in, tcp, udp

PORT = 8080
POD1, POD2 = "1", "2"
"""Ids of their endpoints."""


class Case(NamedTuple):
    name: str
    option: str
    """The direction that is enforced, at pod2 for ingress and at pod1 for egress."""
    entries: tuple[str, ...]
    """What follows the direction in `bpf policy add`; IDENTITY stands for that of the other pod."""
    send: Callable[..., bool]
    family: int
    passes: bool


def case(name: str, option: str, entries: list[str], send: Callable[..., bool], passes: bool) -> list[Case]:
    """The same for both families."""
    return [
        Case(f"{name} over {version}", option, tuple(entries), send, family, passes)
        for version, family in (("IPv4", INET), ("IPv6", INET6))
    ]


IN, OUT = "IngressEnforcement", "EgressEnforcement"
CASES = [
    *case("nothing is allowed in", IN, [], tcp, False),
    *case("nothing is allowed out", OUT, [], tcp, False),
    *case("no datagram is allowed in", IN, [], udp, False),
    *case("no ping is allowed out", OUT, [], ping, False),
    *case("the other pod is allowed in", IN, ["IDENTITY"], tcp, True),
    *case("the other pod is allowed as destination", OUT, ["IDENTITY"], udp, True),
    *case("the port is allowed in", IN, [f"IDENTITY {PORT}/TCP"], tcp, True),
    *case("the port is allowed in for all", IN, [f"0 {PORT}/UDP"], udp, True),
    *case("another port is allowed in", IN, [f"IDENTITY {PORT + 1}/TCP"], tcp, False),
    *case("another protocol is allowed in", IN, [f"IDENTITY {PORT}/UDP"], tcp, False),
    *case("another identity is allowed in", IN, ["9999"], tcp, False),
    *case("a denied port of an allowed pod", IN, ["IDENTITY", f"IDENTITY {PORT}/TCP --deny"], tcp, False),
    *case("another denied port of an allowed pod", IN, ["IDENTITY", "IDENTITY 9/TCP --deny"], tcp, True),
]


@pytest.fixture
def cilium(lab: Lab) -> Iterator[Cilium]:
    yield cilium_on(lab, "node1")
    for endpoint_id in (int(POD1), int(POD2)):
        _clear(lab, endpoint_id)
        regenerate(lab.paths("node1"), endpoint_id, Build(options={IN: 0, OUT: 0}))


def _clear(lab: Lab, endpoint_id: int) -> None:
    from cilium_py.bpf.map import BpfMap
    from cilium_py.loader.endpoint import policy_pin

    for pin in (
        policy_pin(lab.paths("node1"), endpoint_id),
        *lab.paths("node1").globals.glob("cilium_ct*_global"),
    ):
        with BpfMap.open(pin, read_only=False) as opened:
            for key in list(opened.keys()):
                opened.delete(key)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_policy_decides(lab: Lab, cilium: Cilium, case: Case) -> None:
    own, other, direction = (2, 1, "ingress") if case.option == IN else (1, 2, "egress")
    paths = lab.paths("node1")
    regenerate(paths, own, Build(options={case.option: 1}))
    identity = str(store.load(paths, other).identity)
    for entry in case.entries:
        words = entry.replace("IDENTITY", identity).split()
        flags = [word for word in words if word.startswith("--")]
        cilium("bpf", "policy", "add", *flags, str(own), direction, *(w for w in words if w not in flags))
    port = {} if case.send is ping else {"port": PORT}
    assert case.send(lab, "pod1", "pod2", case.family, **port) == case.passes


def test_the_other_direction_is_not_enforced(lab: Lab, cilium: Cilium) -> None:  # noqa: ARG001  cleans up
    """Who enforces ingress still speaks, and is answered."""
    regenerate(lab.paths("node1"), 2, Build(options={IN: 1}))
    assert not tcp(lab, "pod1", "pod2")
    assert tcp(lab, "pod2", "pod1")
    assert ping(lab, "pod2", "pod1")


def test_icmp_error_passes_with_its_flow(lab: Lab, cilium: Cilium) -> None:  # noqa: ARG001  cleans up
    """An error about what the pod was allowed to send comes in where nothing else does."""
    regenerate(lab.paths("node1"), 1, Build(options={IN: 1}))
    with listener(lab, "pod2", INET, socket.SOCK_DGRAM) as closed:
        target = closed.getsockname()
    with socket_in(lab, "pod1", INET, socket.SOCK_DGRAM) as client:
        client.connect(target)
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)
    assert not ping(lab, "pod2", "pod1", count=1)


def test_a_deny_holds_without_enforcement(lab: Lab, cilium: Cilium) -> None:
    cilium("bpf", "policy", "add", "--deny", POD2, "ingress", "0", f"{PORT}/TCP")
    assert not tcp(lab, "pod1", "pod2", port=PORT)
    assert tcp(lab, "pod1", "pod2", port=PORT + 1)
    cilium("bpf", "policy", "delete", "--deny", POD2, "ingress", "0", f"{PORT}/TCP", check=False)
