"""What leaves an endpoint: where to, with which addresses, and what never leaves it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.prog.actors import (
    CLIENT,
    GATEWAY,
    HOST_MAC,
    NEXT_HOP_MAC,
    NODE,
    REMOTE,
    SERVER,
    UPLINK,
    UPLINK_MAC,
    WORLD,
    WORLD4,
    WORLD_6,
    Node,
    egress,
    ingress,
)  # fmt: skip
from tests.prog.datapath import Redirect
from tests.prog.expect import (
    BAD_EXTENSION,
    CT_UNKNOWN_PROTOCOL,
    DENIED,
    INVALID_SOURCE,
    NO_POLICY_PROGRAM,
    PASS,
    REDIRECTED,
    TTL_EXCEEDED,
    UNKNOWN_L3,
    Expect,
    delivered,
    dropped,
)  # fmt: skip
from tests.prog.packets import (
    DESTINATION_OPTIONS,
    ECHO_REQUEST,
    ECHO_REQUEST6,
    ICMPV6,
    SYN,
    destination_options,
    ethernet,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    sctp,
    tcp,
    udp,
)  # fmt: skip

IDENTITY_MARK = CLIENT.identity << 16 | 0x0F00


def from_client(packet: bytes) -> bytes:
    return ethernet(CLIENT.mac, CLIENT.router_mac, packet)


def to_server(packet: bytes) -> bytes:
    return ethernet(SERVER.router_mac, SERVER.mac, packet)


class Case(NamedTuple):
    name: str
    frame: bytes
    expected: Expect


SERVER_INTERFACE = SERVER.endpoint.ifindex

CASES = [
    Case(
        "TCP to a pod of the node, one hop less",
        from_client(ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN), ttl=37)),
        delivered(SERVER_INTERFACE, to_server(ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN), ttl=36))),
    ),
    Case(
        "UDP over IPv6 to a pod of the node",
        from_client(ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53), hop_limit=2)),
        delivered(SERVER_INTERFACE, to_server(ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53), hop_limit=1))),
    ),
    Case(
        "ping",
        from_client(ipv4(CLIENT.ip, SERVER.ip, icmp(ECHO_REQUEST))),
        delivered(SERVER_INTERFACE, to_server(ipv4(CLIENT.ip, SERVER.ip, icmp(ECHO_REQUEST), ttl=63))),
    ),
    Case(
        "IPv4 options stay",
        from_client(ipv4(CLIENT.ip, SERVER.ip, udp(1, 2), options=b"\1\1\1\1")),
        delivered(SERVER_INTERFACE, to_server(ipv4(CLIENT.ip, SERVER.ip, udp(1, 2), options=b"\1\1\1\1", ttl=63))),
    ),
    Case(
        "SCTP where it is on",
        from_client(ipv4(CLIENT.ip, SERVER.ip, sctp(1, 2))),
        delivered(SERVER_INTERFACE),
    ),
    Case(
        "three extension headers",
        from_client(
            ipv6(
                CLIENT.ip6,
                SERVER.ip6,
                icmp6(ECHO_REQUEST6),
                next_header=DESTINATION_OPTIONS,
                extensions=destination_options(DESTINATION_OPTIONS) * 2 + destination_options(ICMPV6),
            )
        ),
        delivered(SERVER_INTERFACE),
    ),
    Case(
        "four extension headers",
        from_client(
            ipv6(
                CLIENT.ip6,
                SERVER.ip6,
                icmp6(ECHO_REQUEST6),
                next_header=DESTINATION_OPTIONS,
                extensions=destination_options(DESTINATION_OPTIONS) * 3 + destination_options(ICMPV6),
            )
        ),
        dropped(BAD_EXTENSION),
    ),
    Case("TTL 1", from_client(ipv4(CLIENT.ip, SERVER.ip, tcp(1, 2, SYN), ttl=1)), dropped(TTL_EXCEEDED)),
    Case(
        "to the world by the host's stack, with the sender's identity in the mark",
        from_client(ipv4(CLIENT.ip, WORLD, tcp(1000, 443, SYN))),
        Expect(PASS, packet=from_client(ipv4(CLIENT.ip, WORLD, tcp(1000, 443, SYN), ttl=63)), mark=IDENTITY_MARK),
    ),
    Case("to a pod of another node", from_client(ipv4(CLIENT.ip, REMOTE, udp(1, 2))), Expect(PASS, mark=IDENTITY_MARK)),
    Case("to the node itself", from_client(ipv4(CLIENT.ip, NODE, udp(1, 2))), Expect(PASS, mark=IDENTITY_MARK)),
    Case("to the gateway", from_client(ipv4(CLIENT.ip, GATEWAY, udp(1, 2))), Expect(PASS, mark=IDENTITY_MARK)),
    Case("another pod's address", from_client(ipv4(SERVER.ip, WORLD, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("an address of the world", from_client(ipv4(WORLD, SERVER.ip, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("the node's address", from_client(ipv4(NODE, SERVER.ip, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("no address", from_client(ipv4("0.0.0.0", SERVER.ip, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("another pod's IPv6 address", from_client(ipv6(SERVER.ip6, WORLD_6, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("a link-local address", from_client(ipv6("fe80::1", SERVER.ip6, udp(1, 2))), dropped(INVALID_SOURCE)),
    Case("GRE", from_client(ipv4(CLIENT.ip, SERVER.ip, bytes(8), protocol=47)), dropped(CT_UNKNOWN_PROTOCOL)),
    Case(
        "ICMPv6 in IPv4", from_client(ipv4(CLIENT.ip, SERVER.ip, bytes(8), protocol=58)), dropped(CT_UNKNOWN_PROTOCOL)
    ),
    Case("IPv6: ICMP", from_client(ipv6(CLIENT.ip6, SERVER.ip6, bytes(8), protocol=1)), dropped(CT_UNKNOWN_PROTOCOL)),
    Case("LLDP", ethernet(CLIENT.mac, CLIENT.router_mac, bytes(46), kind=0x88CC), dropped(UNKNOWN_L3)),
    Case("a VLAN tag", ethernet(CLIENT.mac, CLIENT.router_mac, bytes(46), kind=0x8100), dropped(UNKNOWN_L3)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_from_container(case: Case, node: Node) -> None:
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    case.expected.check(node.send(CLIENT, case.frame))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_drop_is_told_once(case: Case, node: Node) -> None:
    """One notification and one count with the same reason; nothing of the kind for what goes on."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    outcome = node.send(CLIENT, case.frame)
    drops = {reason: packets for (reason, _), packets in node.metrics().items() if reason >= 130}
    assert drops == ({case.expected.reason: 1} if case.expected.reason else {})
    assert (outcome.verdict == 2) == bool(drops)


ROUTED = [
    Case(
        "to the world through the uplink, with the next hop's MAC",
        from_client(ipv4(CLIENT.ip, WORLD, tcp(1000, 443, SYN))),
        Expect(
            REDIRECTED,
            packet=ethernet(UPLINK_MAC, NEXT_HOP_MAC, ipv4(CLIENT.ip, WORLD, tcp(1000, 443, SYN), ttl=63)),
            redirect=Redirect("redirect", UPLINK),
        ),
    ),
    Case(
        "to the world over IPv6",
        from_client(ipv6(CLIENT.ip6, WORLD_6, tcp(1000, 443, SYN))),
        Expect(
            REDIRECTED,
            packet=ethernet(UPLINK_MAC, NEXT_HOP_MAC, ipv6(CLIENT.ip6, WORLD_6, tcp(1000, 443, SYN), hop_limit=63)),
            redirect=Redirect("redirect", UPLINK),
        ),
    ),
    Case(
        "straight behind the receiver's interface pair",
        from_client(ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN))),
        Expect(REDIRECTED, redirect=Redirect("redirect_peer", SERVER_INTERFACE)),
    ),
    Case("to the node itself", from_client(ipv4(CLIENT.ip, NODE, udp(1, 2))), Expect(PASS, mark=IDENTITY_MARK)),
    Case("SCTP where it is off", from_client(ipv4(CLIENT.ip, SERVER.ip, sctp(1, 2))), dropped(CT_UNKNOWN_PROTOCOL)),
]


@pytest.mark.parametrize("case", ROUTED, ids=lambda case: case.name)
def test_from_container_with_host_routing(case: Case, routing_node: Node) -> None:
    routing_node.allow(CLIENT, egress())
    routing_node.allow(SERVER, ingress())
    case.expected.check(routing_node.send(CLIENT, case.frame))


def test_an_endpoint_without_a_policy_program_gets_nothing(node: Node) -> None:
    """It is known but its programs are not (or no longer) there."""
    stranger = CLIENT.endpoint._replace(id=99, ifindex=SERVER_INTERFACE)
    node.know_endpoint("10.1.0.99", stranger)
    node.allow(CLIENT, egress())
    dropped(NO_POLICY_PROGRAM).check(node.send(CLIENT, from_client(ipv4(CLIENT.ip, "10.1.0.99", udp(1, 2)))))


def test_from_the_host_goes_by_the_stack(routing_node: Node) -> None:
    """A packet that the host's own stack sends cannot go straight behind the interface pair."""
    routing_node.allow(SERVER, ingress())
    frame = to_server(ipv4(NODE, SERVER.ip, udp(1, 2)))
    delivered(SERVER_INTERFACE).check(routing_node.arrive(SERVER, frame, 1, from_host=True))
    peer = Expect(REDIRECTED, redirect=Redirect("redirect_peer", SERVER_INTERFACE))
    peer.check(routing_node.arrive(SERVER, frame, 1))


def test_by_the_interface_the_address_tells_the_identity(node: Node) -> None:
    """The stack's mark names the world; the address is known better, and only that identity is allowed."""
    frame = to_server(ipv4(REMOTE, SERVER.ip, udp(1000, 53)))
    dropped(DENIED).check(node.deliver(SERVER, frame))
    node.allow(SERVER, ingress(3030))
    Expect(PASS, packet=frame, mark=0).check(node.deliver(SERVER, frame))
    from_world = to_server(ipv4(WORLD, SERVER.ip, udp(1000, 53)))
    dropped(DENIED).check(node.deliver(SERVER, from_world))
    node.allow(SERVER, ingress(WORLD4))
    Expect(PASS).check(node.deliver(SERVER, from_world))


def test_a_proxys_port_is_reached_through_cilium_net(node: Node) -> None:
    """On the way to the pod's interface there is no stack to pass to."""
    node.allow(SERVER, ingress(protocol=17, port=53, proxy_port=10000))
    outcome = node.deliver(SERVER, to_server(ipv4(WORLD, SERVER.ip, udp(1000, 53))))
    Expect(
        REDIRECTED,
        redirect=Redirect("redirect", 4),
        mark=int.from_bytes((10000).to_bytes(2, "big"), "little") << 16 | 0x200,
    ).check(outcome)
    assert outcome.packet[:12] == HOST_MAC + SERVER.router_mac
    assert outcome.cb[0] == outcome.mark
