"""Services: to a backend and back, an endpoint that is its own backend, no backend at all."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tests.prog.actors import CLIENT, REMOTE, SERVER, Node, egress, ingress
from tests.prog.datapath import Redirect
from tests.prog.expect import DENIED, NO_FIRST_FRAGMENT, REDIRECTED, Expect, delivered, dropped
from tests.prog.packets import ACK, SYN, TCP, UDP, checksum, ethernet, ipv4, ipv6, tcp, udp

VIP, VIP6 = "10.96.0.1", "fd96::1"
LOOPBACK = "169.254.42.1"


def from_client(packet: bytes) -> bytes:
    return ethernet(CLIENT.mac, CLIENT.router_mac, packet)


def from_server(packet: bytes) -> bytes:
    return ethernet(SERVER.mac, SERVER.router_mac, packet)


def test_there_and_back(node: Node) -> None:
    """Policy sees the backend, the client sees the service; checksums stay right."""
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8080)])
    node.allow(CLIENT, egress(SERVER.identity, TCP, 8080))
    node.allow(SERVER, ingress(CLIENT.identity, TCP, 8080))
    there = ethernet(SERVER.router_mac, SERVER.mac, ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 8080, SYN), ttl=63))
    delivered(SERVER.endpoint.ifindex, there).check(
        node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN))))
    )
    back = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(VIP, CLIENT.ip, tcp(80, 1000, SYN | ACK), ttl=63))
    answer = from_server(ipv4(SERVER.ip, CLIENT.ip, tcp(8080, 1000, SYN | ACK)))
    delivered(CLIENT.endpoint.ifindex, back).check(node.send(SERVER, answer))


def test_there_and_back_over_ipv6(node: Node) -> None:
    node.serve(VIP6, 53, UDP, [(SERVER.ip6, 5353)])
    node.allow(CLIENT, egress(SERVER.identity, UDP, 5353))
    node.allow(SERVER, ingress(CLIENT.identity, UDP, 5353))
    there = ethernet(SERVER.router_mac, SERVER.mac, ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 5353), hop_limit=63))
    delivered(SERVER.endpoint.ifindex, there).check(
        node.send(CLIENT, from_client(ipv6(CLIENT.ip6, VIP6, udp(1000, 53))))
    )
    back = ethernet(CLIENT.router_mac, CLIENT.mac, ipv6(VIP6, CLIENT.ip6, udp(53, 1000), hop_limit=63))
    delivered(CLIENT.endpoint.ifindex, back).check(
        node.send(SERVER, from_server(ipv6(SERVER.ip6, CLIENT.ip6, udp(5353, 1000))))
    )


def test_policy_is_the_backends(node: Node) -> None:
    """That the service's address is allowed helps nobody."""
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8080)])
    node.allow(CLIENT, egress(9), egress(SERVER.identity, TCP, 80))
    dropped(DENIED).check(node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN)))))


def test_a_connection_keeps_its_backend(node: Node) -> None:
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8000 + number) for number in range(16)])
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())

    def backend_port(source: int) -> int:
        outcome = node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(source, 80, SYN))))
        return int.from_bytes(outcome.packet[36:38], "big")

    chosen = {source: backend_port(source) for source in range(1000, 1040)}
    assert chosen == {source: backend_port(source) for source in chosen}
    assert len(set(chosen.values())) > 4, "chosen at random"


def test_an_endpoint_reaches_itself(node: Node) -> None:
    """Without any policy, from the node's stand-in address, and its answer comes back as the service's."""
    node.serve(VIP, 80, TCP, [(CLIENT.ip, 80)])
    there = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(LOOPBACK, CLIENT.ip, tcp(1000, 80, SYN), ttl=63))
    delivered(CLIENT.endpoint.ifindex, there).check(
        node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN))))
    )
    back = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(VIP, CLIENT.ip, tcp(80, 1000, SYN | ACK), ttl=63))
    answer = from_client(ipv4(CLIENT.ip, LOOPBACK, tcp(80, 1000, SYN | ACK)))
    delivered(CLIENT.endpoint.ifindex, back).check(node.send(CLIENT, answer))


def test_the_stand_in_address_alone_opens_nothing(node: Node) -> None:
    """Somebody else who uses it has no connection, and so needs policy."""
    frame = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(LOOPBACK, CLIENT.ip, tcp(1000, 80, SYN)))
    dropped(DENIED).check(node.arrive(CLIENT, frame, SERVER.identity))


def fragment_key(source: str, destination: str, identification: int) -> bytes:
    """As in cilium_ipv4_frag_datagrams, of UDP."""
    ends = ipaddress.ip_address(destination).packed + ipaddress.ip_address(source).packed
    return ends + identification.to_bytes(2, "big") + bytes([UDP, 0])


@pytest.mark.parametrize("backend", [REMOTE, SERVER.ip], ids=["away", "here"])
def test_fragments_to_a_service(backend: str, node: Node) -> None:
    """They follow the first one to its backend, and are known by either address."""
    node.serve(VIP, 53, UDP, [(backend, 5353)])
    node.allow(CLIENT, egress(0, UDP, 5353))
    node.allow(SERVER, ingress(0, UDP, 5353))
    whole = udp(1000, 53, bytes(24)).octets
    first = ipv4(CLIENT.ip, VIP, whole[:16], protocol=UDP, identification=7, more=True)
    later = ipv4(CLIENT.ip, VIP, whole[16:], protocol=UDP, identification=7, offset=16)
    for packet in (first, later):
        outcome = node.send(CLIENT, from_client(packet))
        assert outcome.drop_reason is None
        assert outcome.packet[30:34] == ipaddress.ip_address(backend).packed
    assert dict(node.entries("cilium_ipv4_frag_datagrams")) == {
        fragment_key(CLIENT.ip, VIP, 7): struct.pack(">HH", 1000, 53),
        fragment_key(CLIENT.ip, backend, 7): struct.pack(">HH", 1000, 5353),
    }
    assert node.metrics()[9, 3] == node.metrics()[9, 2] == 2


def test_a_fragment_without_its_first_goes_to_no_service(node: Node) -> None:
    node.serve(VIP, 53, UDP, [(REMOTE, 5353)])
    node.allow(CLIENT, egress())
    later = ipv4(CLIENT.ip, VIP, bytes(16), protocol=UDP, identification=8, offset=16)
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, from_client(later)))
    assert node.metrics() == {(NO_FIRST_FRAGMENT, 2): 1}


def test_no_backend(node: Node) -> None:
    """ICMP port unreachable from the service, with right checksums and the packet inside."""
    node.serve(VIP, 80, TCP, [])
    packet = ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN))
    outcome = node.send(CLIENT, from_client(packet))
    Expect(REDIRECTED, redirect=Redirect("redirect", CLIENT.endpoint.ifindex)).check(outcome)
    assert outcome.packet[:12] == CLIENT.mac + CLIENT.router_mac
    answer = outcome.packet[14:]
    assert (checksum(answer[:20]), checksum(answer[20:])) == (0, 0)
    assert answer[12:20] == ipaddress.ip_address(VIP).packed + CLIENT.endpoint.ipv4
    assert answer[20:22] == b"\3\3"
    assert answer[28 : 28 + len(packet)] == packet


def test_no_backend_over_ipv6(node: Node) -> None:
    node.serve(VIP6, 80, TCP, [])
    packet = ipv6(CLIENT.ip6, VIP6, tcp(1000, 80, SYN, bytes(7)))
    outcome = node.send(CLIENT, from_client(packet))
    Expect(REDIRECTED, redirect=Redirect("redirect", CLIENT.endpoint.ifindex)).check(outcome)
    answer = outcome.packet[14:]
    message = answer[40:]
    assert checksum(answer[8:40] + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + message) == 0
    assert message[:2] == b"\1\4"
    assert message[8 : 8 + len(packet)] == packet


@pytest.mark.parametrize("packet", [ipv4(CLIENT.ip, VIP, tcp(1, 81, SYN)), ipv4(CLIENT.ip, VIP, udp(1, 80))],
                         ids=["another port", "another protocol"])  # fmt: skip
def test_only_the_service_itself_is_translated(packet: bytes, node: Node) -> None:
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8080)])
    dropped(DENIED).check(node.send(CLIENT, from_client(packet)))
