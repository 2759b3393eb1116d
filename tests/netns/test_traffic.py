"""What a pod sends reaches the other through our programs, and the kernel remembers it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import NamedTuple

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.lab import Lab
from cilium_py.loader.pins import FROM_CONTAINER
from tests.netns.traffic import BRIEF, INET, INET6, listener, ping, socket_in, tcp, udp

IP_TRANSPARENT = 19

SENDERS = [("pod1", "pod2"), ("pod1", "world"), ("world", "pod1")]
"""Pod to pod, out of the cluster, into it."""


class Case(NamedTuple):
    name: str
    send: Callable[..., bool]
    family: int
    size: int
    table: str
    """The table that must know of it afterwards."""


CASES = [
    Case("TCP over IPv4", tcp, INET, 200_000, "cilium_ct4_global"),
    Case("TCP over IPv6", tcp, INET6, 200_000, "cilium_ct6_global"),
    Case("UDP over IPv4", udp, INET, 100, "cilium_ct_any4_global"),
    Case("UDP over IPv6", udp, INET6, 100, "cilium_ct_any6_global"),
    Case("UDP in IPv4 fragments", udp, INET, 9000, "cilium_ipv4_frag_datagrams"),
    Case("UDP in IPv6 fragments", udp, INET6, 9000, "cilium_ipv6_frag_datagrams"),
    Case("ping over IPv4", ping, INET, 56, "cilium_ct_any4_global"),
    Case("ping over IPv6", ping, INET6, 56, "cilium_ct_any6_global"),
    Case("ping in IPv4 fragments", ping, INET, 5000, "cilium_ipv4_frag_datagrams"),
    Case("ping in IPv6 fragments", ping, INET6, 5000, "cilium_ipv6_frag_datagrams"),
]


def count(lab: Lab, table: str) -> int:
    with BpfMap.open(lab.paths("node1").globals / table) as opened:
        return len(list(opened.keys()))


def flush(lab: Lab, table: str) -> None:
    with BpfMap.open(lab.paths("node1").globals / table, read_only=False) as opened:
        for key in list(opened.keys()):
            opened.delete(key)


@pytest.mark.parametrize("ends", SENDERS, ids=" to ".join)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_arrives_and_is_remembered(lab: Lab, case: Case, ends: tuple[str, str]) -> None:
    sender, receiver = ends
    flush(lab, case.table)
    assert case.send(lab, sender, receiver, case.family, size=case.size)
    assert count(lab, case.table) > 0


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
def test_node_reaches_its_pods(lab: Lab, family: int) -> None:
    assert ping(lab, "node1", "pod1", family)


@pytest.mark.parametrize("family", [INET, INET6], ids=["IPv4", "IPv6"])
def test_icmp_error_reaches_the_sender(lab: Lab, family: int) -> None:
    """A datagram to a port where nobody listens comes back as an ICMP error about it."""
    with listener(lab, "pod2", family, socket.SOCK_DGRAM) as closed:
        target = closed.getsockname()[:2]
    with socket_in(lab, "pod1", family, socket.SOCK_DGRAM) as client:
        client.connect(target)
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_spoofed_source_is_dropped(lab: Lab) -> None:
    """A source address that is not the pod's gets nowhere, while its own does."""
    with socket_in(lab, "pod1", INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        client.bind(("10.244.1.99", 0))
        with listener(lab, "pod2", INET, socket.SOCK_DGRAM, patience=BRIEF) as server:
            client.sendto(b"not me", server.getsockname())
            with pytest.raises(TimeoutError):
                server.recv(100)
    assert udp(lab, "pod1", "pod2")


def test_unknown_pod_cannot_be_reached(lab: Lab) -> None:
    assert not ping(lab, "pod1", "10.244.1.200", INET, count=1, patience=BRIEF)


def test_programs_are_attached_as_asked(lab: Lab) -> None:
    """With tcx there is a pinned link; with filters there is none."""
    link = lab.paths("node1").endpoint_links(1) / FROM_CONTAINER
    assert link.exists() == (lab.attach == "auto")


def test_refused_connection_is_refused_at_once(lab: Lab) -> None:
    with socket_in(lab, "pod1", INET, socket.SOCK_STREAM) as client:
        assert client.connect_ex((lab.pod("pod2").ipv4, 9)) == errno.ECONNREFUSED
