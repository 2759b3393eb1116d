"""Services: to a backend and back, an endpoint that is its own backend, no backend at all."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from tests.prog.actors import CLIENT, REMOTE, SERVER, Node, egress, ingress
from tests.prog.datapath import Redirect
from tests.prog.expect import DENIED, DROPPED, NO_FIRST_FRAGMENT, PASS, REDIRECTED, Expect, delivered, dropped
from tests.prog.packets import (
    ACK,
    FRAGMENT,
    SCTP,
    SYN,
    TCP,
    UDP,
    checksum,
    ethernet,
    fragment_header,
    ipv4,
    ipv6,
    sctp,
    tcp,
    udp,
)

VIP, VIP6 = "10.96.0.1", "fd96::1"
LOOPBACK = "169.254.42.1"
CHECKSUM_L4 = 154


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


@pytest.mark.parametrize("port", [8080, 80])
def test_replies_come_from_the_service_also_where_the_backend_has_opened_a_connection(port: int, node: Node) -> None:
    """Between the same ports: what it sends is a reply from then on, as in the original."""
    for pod in (CLIENT, SERVER):
        node.allow(pod, egress(), ingress())
    node.serve(VIP, 80, TCP, [(SERVER.ip, port)])

    def seen_source(flags: int) -> str:
        packet = from_server(ipv4(SERVER.ip, CLIENT.ip, tcp(port, 1000, flags)))
        return str(ipaddress.IPv4Address(node.send(SERVER, packet).packet[26:30]))

    assert [seen_source(flags) for flags in (SYN, ACK)] == [SERVER.ip, SERVER.ip]
    node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN))))
    assert [seen_source(flags) for flags in (ACK, ACK)] == [VIP, VIP]


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


def test_fragments_to_a_service_over_ipv6(node: Node) -> None:
    """Put together again behind it they have the backend's port, and a right checksum."""
    node.serve(VIP6, 53, UDP, [(SERVER.ip6, 5353)])
    node.allow(CLIENT, egress(0, UDP, 5353))
    node.allow(SERVER, ingress(0, UDP, 5353))
    whole = ipv6(CLIENT.ip6, VIP6, udp(1000, 53, bytes(range(64))))[40:]
    arrived, addresses = b"", b""
    for offset, part in ((0, whole[:40]), (40, whole[40:])):
        header = fragment_header(UDP, 7, offset, offset == 0)
        packet = ipv6(CLIENT.ip6, VIP6, part, next_header=FRAGMENT, extensions=header)
        outcome = node.send(CLIENT, from_client(packet))
        assert outcome.redirect == Redirect("redirect", SERVER.endpoint.ifindex)
        arrived += outcome.packet[62:]
        addresses = outcome.packet[22:54]
    assert addresses == CLIENT.endpoint.ipv6 + SERVER.endpoint.ipv6
    assert arrived[:4] == struct.pack(">HH", 1000, 5353)
    assert checksum(addresses + struct.pack(">II", len(arrived), UDP) + arrived) == 0


def test_a_fragment_without_its_first_goes_to_no_service(node: Node) -> None:
    node.serve(VIP, 53, UDP, [(REMOTE, 5353)])
    node.allow(CLIENT, egress())
    later = ipv4(CLIENT.ip, VIP, bytes(16), protocol=UDP, identification=8, offset=16)
    dropped(NO_FIRST_FRAGMENT).check(node.send(CLIENT, from_client(later)))
    assert node.metrics() == {(NO_FIRST_FRAGMENT, 2): 1}


@pytest.mark.parametrize(("size", "quoted"), [(0, 54), (9, 63), (10, 64), (1400, 64)])
def test_no_backend(size: int, quoted: int, node: Node) -> None:
    """ICMP port unreachable from the service, with right checksums; it quotes as much as the frame was long."""
    node.serve(VIP, 80, TCP, [])
    packet = ipv4(CLIENT.ip, VIP, tcp(1000, 80, SYN, bytes(range(1, 9)) * (size // 8) + bytes(size % 8)), ttl=3, tos=8)
    outcome = node.send(CLIENT, from_client(packet))
    Expect(REDIRECTED, redirect=Redirect("redirect", CLIENT.endpoint.ifindex)).check(outcome)
    assert outcome.packet[:14] == CLIENT.mac + CLIENT.router_mac + b"\x08\x00"
    answer = outcome.packet[14:]
    assert (checksum(answer[:20]), checksum(answer[20:])) == (0, 0)
    assert answer[:10] == struct.pack(">BBHHHBB", 0x45, 8, 28 + quoted, 0, 0, 64, 1)
    assert answer[12:20] == ipaddress.ip_address(VIP).packed + CLIENT.endpoint.ipv4
    assert answer[20:22] == b"\3\3"
    assert answer[28:] == packet[:quoted].ljust(quoted, b"\0")


@pytest.mark.parametrize(("size", "quoted"), [(7, 81), (1157, 1231), (1158, 1232), (1400, 1232)])
def test_no_backend_over_ipv6(size: int, quoted: int, node: Node) -> None:
    """The same; what comes back fits on the smallest link."""
    node.serve(VIP6, 80, TCP, [])
    packet = ipv6(CLIENT.ip6, VIP6, tcp(1000, 80, SYN, bytes(range(1, 8)) * (size // 7) + bytes(size % 7)), hop_limit=3)
    outcome = node.send(CLIENT, from_client(b"\x6f\xff\xff\xff" + packet[4:]))
    Expect(REDIRECTED, redirect=Redirect("redirect", CLIENT.endpoint.ifindex)).check(outcome)
    assert outcome.packet[:14] == CLIENT.mac + CLIENT.router_mac + b"\x86\xdd"
    answer, message = outcome.packet[14:54], outcome.packet[54:]
    assert answer[:8] == struct.pack(">IHBB", 6 << 28, 8 + quoted, 58, 64)
    assert answer[8:] == ipaddress.ip_address(VIP6).packed + CLIENT.endpoint.ipv6
    assert checksum(answer[8:] + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + message) == 0
    assert message[:2] == b"\1\4"
    assert message[8:] == (b"\x6f\xff\xff\xff" + packet[4:])[:quoted].ljust(quoted, b"\0")


def service_entry(node: Node) -> bytes:
    """The value of the one service entry in conntrack."""
    (value,) = [value for key, value in node.entries("cilium_ct4_global") if key[13] == 4]
    return value


def test_a_draining_backend_keeps_what_it_has(node: Node) -> None:
    """A connection that begins, new or again, goes to another."""
    node.allow(CLIENT, egress())
    node.serve(VIP, 80, TCP, [(REMOTE, 8080)])

    def address(flags: int) -> bytes:
        return node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, flags)))).packet[30:34]

    first, second = (ipaddress.ip_address(ip).packed for ip in (REMOTE, "10.2.0.31"))
    assert address(SYN) == first
    node.serve(VIP, 80, TCP, [("10.2.0.31", 8080)])
    backends = node.datapath.map("cilium_lb4_backends_v3")
    backends.update(struct.pack("<I", 2), backends.lookup(struct.pack("<I", 1)) or b"")
    backends.update(struct.pack("<I", 1), first + struct.pack(">HBB4x", 8080, TCP, 1))
    node.datapath.map("cilium_lb4_services_v2").update(
        ipaddress.ip_address(VIP).packed + struct.pack(">H", 80) + struct.pack("<HBBxx", 1, TCP, 0),
        struct.pack("<IHH4x", 2, 0, 7),
    )
    assert address(ACK) == first
    assert address(SYN) == second
    assert address(ACK) == second


def test_another_service_at_the_address_is_another_connection(routing_node: Node) -> None:
    """The entry of the one before is replaced, not continued."""
    routing_node.allow(CLIENT, egress())
    frame = from_client(ipv4(CLIENT.ip, VIP, tcp(1000, 80, ACK)))
    for index in (7, 8):
        routing_node.serve(VIP, 80, TCP, [(REMOTE, 8000 + index)], index)
        for count in (1, 2):
            assert routing_node.send(CLIENT, frame).packet[36:38] == (8000 + index).to_bytes(2, "big")
            value = service_entry(routing_node)
            assert (value[16], value[38]) == (count, index), "packets, index of the service"


@pytest.mark.parametrize(("backend_port", "expected"), [(3868, PASS), (3869, DROPPED)])
def test_the_port_of_sctp_cannot_be_translated(backend_port: int, expected: int, node: Node) -> None:
    """Its checksum covers the packet, and the kernel does not help."""
    node.allow(CLIENT, egress())
    node.serve(VIP, 3868, SCTP, [(REMOTE, backend_port)])
    outcome = node.send(CLIENT, from_client(ipv4(CLIENT.ip, VIP, sctp(1000, 3868))))
    assert (outcome.verdict, outcome.drop_reason) == (expected, CHECKSUM_L4 if expected == DROPPED else None)


@pytest.mark.parametrize("packet", [ipv4(CLIENT.ip, VIP, tcp(1, 81, SYN)), ipv4(CLIENT.ip, VIP, udp(1, 80))],
                         ids=["another port", "another protocol"])  # fmt: skip
def test_only_the_service_itself_is_translated(packet: bytes, node: Node) -> None:
    node.serve(VIP, 80, TCP, [(SERVER.ip, 8080)])
    dropped(DENIED).check(node.send(CLIENT, from_client(packet)))
