"""Connections: how entries come to be, live and end, and what a reply may do."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.prog.actors import CLIENT, REMOTE, SERVER, WORLD, Node, Pod, egress, ingress
from tests.prog.datapath import Outcome
from tests.prog.expect import DENIED, DROPPED, PASS, REDIRECTED, dropped
from tests.prog.packets import (
    ACK,
    ECHO_REPLY,
    ECHO_REQUEST,
    FIN,
    PSH,
    RST,
    SYN,
    UNREACHABLE,
    Segment,
    ethernet,
    icmp,
    icmp6,
    ipv4,
    ipv6,
    tcp,
    udp,
)  # fmt: skip

SYN_TIMEOUT, ESTABLISHED, CLOSING = 60, 8000, 10
IN, OUT, RELATED = 1, 0, 2


class Entry(NamedTuple):
    """What a case looks at in an entry."""

    left: int
    rx_closing: bool
    tx_closing: bool
    seen_non_syn: bool
    proxy: bool
    tx_flags: int
    rx_flags: int
    source: int


def connections(node: Node, name: str) -> dict[tuple[int, int, int, int], Entry]:
    """Entries by (opened port, opener's port, protocol, flags) of the key."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 10**9
    found = {}
    for key, value in node.datapath.map(name).entries():
        dport, sport, protocol, flags = struct.unpack_from(">HHBB", key, len(key) - 6)
        lifetime, bits, tx, rx, source = *struct.unpack_from("<IH4xBB", value, 32), *struct.unpack_from("<I", value, 44)
        found[dport, sport, protocol, flags] = Entry(
            lifetime - now, bool(bits & 1), bool(bits & 2), bool(bits & 16), bool(bits & 64), tx, rx, source
        )
    return found


class Exchange(NamedTuple):
    """TCP segments between CLIENT (1000) and SERVER (80), and what the client's outward entry must then be."""

    name: str
    segments: list[tuple[str, int]]
    left: int
    closing: tuple[bool, bool]
    tx_flags: int
    rx_flags: int


OPENING = [("client", SYN), ("server", SYN | ACK), ("client", ACK)]

EXCHANGES = [
    Exchange("SYN", [("client", SYN)], SYN_TIMEOUT, (False, False), SYN, 0),
    Exchange("SYN again", [("client", SYN)] * 2, SYN_TIMEOUT, (False, False), SYN, 0),
    Exchange("SYN, SYN/ACK", OPENING[:2], SYN_TIMEOUT, (False, False), SYN, SYN | ACK),
    Exchange("opened", OPENING, ESTABLISHED, (False, False), SYN | ACK, SYN | ACK),
    Exchange("data", [*OPENING, ("server", PSH | ACK)], ESTABLISHED, (False, False), SYN | ACK, SYN | ACK | PSH),
    Exchange("client ends", [*OPENING, ("client", FIN | ACK)], ESTABLISHED, (False, True), SYN | ACK | FIN, SYN | ACK),
    Exchange("server ends", [*OPENING, ("server", FIN | ACK)], ESTABLISHED, (True, False), SYN | ACK, SYN | ACK | FIN),
    Exchange(
        "both end", [*OPENING, ("client", FIN | ACK), ("server", FIN | ACK)], CLOSING, (True, True),
        SYN | ACK | FIN, SYN | ACK | FIN,
    ),
    Exchange("reset by the server", [("client", SYN), ("server", RST | ACK)], CLOSING, (True, True), SYN, RST | ACK),
    Exchange("reset when open", [*OPENING, ("client", RST)], CLOSING, (True, True), SYN | ACK | RST, SYN | ACK),
    Exchange("opened again", [*OPENING, ("client", RST), ("client", SYN)], SYN_TIMEOUT, (False, False), SYN, 0),
    Exchange(
        "a late ACK does not revive it", [*OPENING, ("client", RST), ("server", ACK)], CLOSING, (True, True),
        SYN | ACK | RST, SYN | ACK,
    ),
]  # fmt: skip


def segment(sender: Pod, receiver: Pod, flags: int, *, ports: tuple[int, int]) -> bytes:
    return ethernet(sender.mac, sender.router_mac, ipv4(sender.ip, receiver.ip, tcp(*ports, flags)))


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_tcp(exchange: Exchange, node: Node) -> None:
    node.allow(CLIENT, egress(SERVER.identity, 6, 80))
    node.allow(SERVER, ingress(CLIENT.identity, 6, 80))
    for who, flags in exchange.segments:
        if who == "client":
            outcome = node.send(CLIENT, segment(CLIENT, SERVER, flags, ports=(1000, 80)))
        else:
            outcome = node.send(SERVER, segment(SERVER, CLIENT, flags, ports=(80, 1000)))
        assert outcome.verdict == REDIRECTED
    entry = connections(node, "cilium_ct4_global")[80, 1000, 6, OUT]
    assert entry.left == pytest.approx(exchange.left, abs=2)
    assert (entry.rx_closing, entry.tx_closing) == exchange.closing
    assert (entry.tx_flags, entry.rx_flags) == (exchange.tx_flags, exchange.rx_flags)
    assert entry.source == CLIENT.identity
    # The receiver keeps the same connection from its side.
    mirrored = connections(node, "cilium_ct4_global")[80, 1000, 6, IN]
    assert (mirrored.tx_flags, mirrored.rx_flags) == (exchange.rx_flags, exchange.tx_flags)


def test_replies_need_no_policy_but_a_connection(node: Node) -> None:
    answer = segment(SERVER, CLIENT, SYN | ACK, ports=(80, 1000))
    dropped(DENIED).check(node.send(SERVER, answer))
    node.allow(CLIENT, egress(SERVER.identity))
    node.allow(SERVER, ingress(CLIENT.identity))
    node.send(CLIENT, segment(CLIENT, SERVER, SYN, ports=(1000, 80)))
    assert node.send(SERVER, answer).verdict == REDIRECTED
    for ports in ((80, 1001), (81, 1000)):
        dropped(DENIED).check(node.send(SERVER, segment(SERVER, CLIENT, SYN | ACK, ports=ports)))


@pytest.mark.parametrize(("own", "other"), [(1000, 80), (80, 1000), (500, 500)])
@pytest.mark.parametrize("protocol", [tcp, udp])
def test_ports_do_not_tell_a_reply(protocol: Callable[..., Segment], own: int, other: int, node: Node) -> None:
    """They only say what is looked up first: who opened the connection needs policy for each packet, the other none."""
    flags = (SYN, ACK) if protocol is tcp else ((), ())

    def segment(source: int, destination: int, flag: object) -> Segment:
        return protocol(source, destination, flag) if protocol is tcp else protocol(source, destination)

    def there(flag: object) -> Outcome:
        packet = ipv4(CLIENT.ip, SERVER.ip, segment(own, other, flag))
        return node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet))

    def back(flag: object) -> Outcome:
        packet = ipv4(SERVER.ip, CLIENT.ip, segment(other, own, flag))
        return node.send(SERVER, ethernet(SERVER.mac, SERVER.router_mac, packet))

    dropped(DENIED).check(back(flags[1]))
    node.allow(CLIENT, egress(SERVER.identity))
    node.allow(SERVER, ingress(CLIENT.identity))
    for run in (lambda: there(flags[0]), lambda: back(flags[1]), lambda: there(flags[1])):
        assert run().verdict == REDIRECTED
    node.disallow(CLIENT, egress(SERVER.identity))
    node.disallow(SERVER, ingress(CLIENT.identity))
    assert back(flags[1]).verdict == REDIRECTED
    dropped(DENIED).check(there(flags[1]))


def test_what_was_refused_opens_nothing(node: Node) -> None:
    dropped(DENIED).check(node.send(CLIENT, segment(CLIENT, SERVER, SYN, ports=(1000, 80))))
    assert connections(node, "cilium_ct4_global") == {}
    assert connections(node, "cilium_ct_any4_global") == {}


def test_a_syn_on_a_closing_connection_needs_policy_again(node: Node) -> None:
    """The server cannot use the end of an allowed connection to open one of its own."""
    node.allow(CLIENT, egress(SERVER.identity))
    node.allow(SERVER, ingress(CLIENT.identity))
    for who, flags in [*OPENING, ("client", FIN | ACK), ("server", FIN | ACK)]:
        pods = (CLIENT, SERVER) if who == "client" else (SERVER, CLIENT)
        node.send(pods[0], segment(*pods, flags, ports=(1000, 80) if who == "client" else (80, 1000)))
    dropped(DENIED).check(node.send(SERVER, segment(SERVER, CLIENT, SYN, ports=(80, 1000))))


@pytest.mark.parametrize("protocol", ["udp", "icmp"])
def test_not_tcp(protocol: str, node: Node) -> None:
    """Other connections live a minute from the last packet, in the other map; pings are told apart by identifier."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    ask, answer, other = {
        "udp": (udp(1000, 53), udp(53, 1000), udp(53, 1001)),
        "icmp": (icmp(ECHO_REQUEST, 0, 7), icmp(ECHO_REPLY, 0, 7), icmp(ECHO_REPLY, 0, 8)),
    }[protocol]
    node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, SERVER.ip, ask)))
    assert connections(node, "cilium_ct4_global") == {}
    opened = connections(node, "cilium_ct_any4_global")
    expected = (53, 1000, 17) if protocol == "udp" else (0, 7, 1)
    assert {(*expected, OUT), (*expected, IN), (0, 0, 1, OUT | RELATED), (0, 0, 1, IN | RELATED)} == set(opened)
    assert opened[*expected, OUT].left == pytest.approx(60, abs=2)
    reply = ethernet(SERVER.mac, SERVER.router_mac, ipv4(SERVER.ip, CLIENT.ip, answer))
    assert node.send(SERVER, reply).verdict == REDIRECTED
    stray = ethernet(SERVER.mac, SERVER.router_mac, ipv4(SERVER.ip, CLIENT.ip, other))
    dropped(DENIED).check(node.send(SERVER, stray))


def test_errors_belong_to_their_connection(node: Node) -> None:
    """An ICMP error between the two sides of a connection passes; without one it does not."""
    error = icmp(UNREACHABLE, 3, payload=ipv4(CLIENT.ip, SERVER.ip, udp(1000, 53))[:28])
    frame = ethernet(SERVER.mac, SERVER.router_mac, ipv4(SERVER.ip, CLIENT.ip, error))
    dropped(DENIED).check(node.send(SERVER, frame))
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, SERVER.ip, udp(1000, 53))))
    assert node.send(SERVER, frame).verdict == REDIRECTED


def test_errors_over_ipv6(node: Node) -> None:
    error = icmp6(1, 4, payload=ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53))[:48])
    frame = ethernet(SERVER.mac, SERVER.router_mac, ipv6(SERVER.ip6, CLIENT.ip6, error))
    dropped(DENIED).check(node.send(SERVER, frame))
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53))))
    assert node.send(SERVER, frame).verdict == REDIRECTED


def test_replies_to_a_proxy(node: Node) -> None:
    """The entry remembers that the connection went to the proxy, so its replies go there too."""
    node.allow(CLIENT, egress(0, 17, 53, proxy_port=10053))
    ask = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1000, 53)))
    assert node.send(CLIENT, ask).verdict == PASS
    assert connections(node, "cilium_ct_any4_global")[53, 1000, 17, OUT].proxy
    answer = ethernet(CLIENT.router_mac, CLIENT.mac, ipv4(REMOTE, CLIENT.ip, udp(53, 1000)))
    outcome = node.arrive(CLIENT, answer, 3030)
    assert (outcome.verdict, outcome.mark, outcome.redirect) == (PASS, 0x200, None)


def test_a_connection_follows_a_proxy_that_comes_later(node: Node) -> None:
    node.allow(CLIENT, egress(0, 17, 53))
    ask = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, REMOTE, udp(1000, 53)))
    node.send(CLIENT, ask)
    assert not connections(node, "cilium_ct_any4_global")[53, 1000, 17, OUT].proxy
    node.allow(CLIENT, egress(0, 17, 53, proxy_port=10053))
    assert node.send(CLIENT, ask).mark & 0xFFFF == 0x200
    assert connections(node, "cilium_ct_any4_global")[53, 1000, 17, OUT].proxy


def test_accounting(routing_node: Node) -> None:
    """Where it is on, an entry counts the packets of both directions."""
    routing_node.allow(CLIENT, egress())
    frame = ethernet(CLIENT.mac, CLIENT.router_mac, ipv4(CLIENT.ip, WORLD, udp(1000, 53)))
    for _ in range(3):
        assert routing_node.send(CLIENT, frame).verdict != DROPPED
    counted = [struct.unpack_from("<QQ", value, 16) for _, value in routing_node.entries("cilium_ct_any4_global")]
    assert sorted(counted) == [(0, 0), (3, 3 * len(frame))]
