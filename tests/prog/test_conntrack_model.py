"""Random TCP segments, in both directions, between one pair of ports: the programs against a plain model.

The model looks up as the original does, reply before request, and never guesses from the ports. CILIUM_PY_MODEL_PACKETS
says how many segments to try.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from tests.prog.actors import CLIENT, REMOTE, REMOTE_IDENTITY, SERVER, Node, egress, ingress
from tests.prog.datapath import Outcome
from tests.prog.expect import DENIED
from tests.prog.packets import ACK, FIN, PSH, RST, SYN, ethernet, ipv4, tcp

SEGMENTS = int(os.environ.get("CILIUM_PY_MODEL_PACKETS", "5000")) // 2
SEGMENTS_A_FLOW = 12
NEW, ESTABLISHED, REPLY = 0, 1, 2
OUT, IN = 0, 1
FLAGS = [SYN, SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, FIN, RST, RST | ACK, 0]
OPEN, OPENING, CLOSED = 8000, 60, 10
TRACE = 4


@dataclass
class Connection:
    """What an entry says. Flags and ends by the direction of the packets: out of the pod, and in."""

    flags: list[int]
    closing: list[bool]
    non_syn: bool = False
    packets: int = 1
    left: int = OPENING

    def update(self, direction: int, flags: int) -> bool:
        """A packet came by. False: it begins anew."""
        alive = not all(self.closing)
        self.packets += 1
        if alive and not flags & SYN:
            self.non_syn = True
        if flags & (FIN | RST):
            self.closing[direction] = True
            if flags & RST:
                self.closing = [True, True]
        elif flags & SYN and any(self.closing):
            self.closing, self.flags, self.non_syn = [False, False], [0, 0], False
            self.flags[direction], self.left = flags, OPENING
            return False
        elif not alive:
            return True
        self.flags[direction] |= flags
        self.left = CLOSED if all(self.closing) else OPEN if self.non_syn else OPENING
        return True


class Model:
    """The connections between the two, by the direction in which they were opened."""

    def __init__(self) -> None:
        self.connections: dict[int, Connection] = {}

    def pass_by(self, direction: int, flags: int, allowed: bool = True) -> int | None:
        """What the packet is; None: it needs policy, and is not allowed."""
        for opened, status in ((1 - direction, REPLY), (direction, ESTABLISHED)):
            found = self.connections.get(opened)
            if found and found.update(direction, flags):
                return status if allowed or status == REPLY else None
        if not allowed:
            return None
        seen = [0, 0]
        seen[direction] = SYN
        self.connections[direction] = Connection(seen, [False, False])
        return NEW


def connections(node: Node) -> dict[tuple[int, str], Connection]:
    """The entries in conntrack, by direction and the address of the side that opened it."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 10**9
    found = {}
    for key, value in node.entries("cilium_ct4_global"):
        lifetime, bits, tx, rx = struct.unpack_from("<IH4xBB", value, 32)
        found[key[13] & 1, str(IPv4Address(key[:4]))] = Connection(
            [tx, rx],
            [bool(bits & 2), bool(bits & 1)],
            bool(bits & 16),
            int.from_bytes(value[16:24], "little"),
            min((OPEN, OPENING, CLOSED), key=lambda left: abs(lifetime - now - left)),
        )
    return found


def status(outcome: Outcome) -> int | None:
    """What the last trace says of the connection; None: policy denied the packet."""
    if outcome.drop_reason == DENIED:
        return None
    return [event[26] for event in outcome.events if event[0] == TRACE][-1]


PORTS = pytest.mark.parametrize("ports", [(1000, 80), (80, 1000), (500, 500)])


def flows(ports: tuple[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Directions and flags of the segments of many connections."""
    chance = random.Random(ports[0])
    for _ in range(SEGMENTS // SEGMENTS_A_FLOW // 12):
        yield [(chance.choice((OUT, IN)), chance.choice(FLAGS)) for _ in range(SEGMENTS_A_FLOW)]


@PORTS
@pytest.mark.parametrize("allowed", [{OUT, IN}, {OUT}, {IN}], ids=["both", "out", "in"])
def test_with_somebody_elsewhere(ports: tuple[int, int], allowed: set[int], routing_node: Node) -> None:
    """What is told of each segment, and what the entries say after it."""
    routing_node.allow(CLIENT, *([egress()] if OUT in allowed else []), *([ingress()] if IN in allowed else []))
    for flow in flows(ports):
        routing_node.datapath.clear("cilium_ct4_global")
        model = Model()
        for direction, flags in flow:
            if direction == OUT:
                packet = ipv4(CLIENT.ip, REMOTE, tcp(*ports, flags))
                outcome = routing_node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet))
            else:
                packet = ipv4(REMOTE, CLIENT.ip, tcp(*reversed(ports), flags))
                frame = ethernet(CLIENT.router_mac, CLIENT.mac, packet)
                outcome = routing_node.arrive(CLIENT, frame, REMOTE_IDENTITY)
            assert status(outcome) == model.pass_by(direction, flags, direction in allowed), flow
            opener = {OUT: CLIENT.ip, IN: REMOTE}
            assert connections(routing_node) == {
                (opened, opener[opened]): found for opened, found in model.connections.items()
            }, flow


@PORTS
def test_between_two_pods(ports: tuple[int, int], routing_node: Node) -> None:
    """Each has entries of its own, in the same map, and the receiver tells."""
    for pod in (CLIENT, SERVER):
        routing_node.allow(pod, egress(), ingress())
    for flow in flows(ports):
        routing_node.datapath.clear("cilium_ct4_global")
        models = {CLIENT: Model(), SERVER: Model()}
        for direction, flags in flow:
            sender, receiver = (CLIENT, SERVER) if direction == OUT else (SERVER, CLIENT)
            segment = tcp(*(ports if direction == OUT else reversed(ports)), flags)
            frame = ethernet(sender.mac, sender.router_mac, ipv4(sender.ip, receiver.ip, segment))
            outcome = routing_node.send(sender, frame)
            models[sender].pass_by(OUT, flags)
            assert status(outcome) == models[receiver].pass_by(IN, flags), flow
            assert connections(routing_node) == {
                (opened, pod.ip if opened == OUT else peer.ip): found
                for pod, peer in ((CLIENT, SERVER), (SERVER, CLIENT))
                for opened, found in models[pod].connections.items()
            }, flow
