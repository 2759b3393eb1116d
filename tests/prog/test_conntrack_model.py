"""Random TCP segments, in both directions, of one pair of addresses and ports: the programs against a plain model.

The model looks up as the original does, reply before request, and never guesses from the ports. CILIUM_PY_MODEL_PACKETS
says how many segments to try.
"""

from __future__ import annotations

import os
import random
import struct
import time
from dataclasses import dataclass

import pytest

from tests.prog.actors import CLIENT, REMOTE, REMOTE_IDENTITY, Node, egress, ingress
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

    def pass_by(self, direction: int, flags: int) -> int:
        for opened, status in ((1 - direction, REPLY), (direction, ESTABLISHED)):
            found = self.connections.get(opened)
            if found and found.update(direction, flags):
                return status
        seen = [0, 0]
        seen[direction] = SYN
        self.connections[direction] = Connection(seen, [False, False])
        return NEW


def connections(node: Node) -> dict[int, Connection]:
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 10**9
    found = {}
    for key, value in node.entries("cilium_ct4_global"):
        lifetime, bits, tx, rx = struct.unpack_from("<IH4xBB", value, 32)
        found[key[13] & 1] = Connection(
            [tx, rx],
            [bool(bits & 2), bool(bits & 1)],
            bool(bits & 16),
            int.from_bytes(value[16:24], "little"),
            min((OPEN, OPENING, CLOSED), key=lambda left: abs(lifetime - now - left)),
        )
    return found


@pytest.mark.parametrize("ports", [(1000, 80), (80, 1000), (500, 500)])
def test_both_ends_open_and_close(ports: tuple[int, int], routing_node: Node) -> None:
    """What is told of each segment, and what the entries say after it."""
    routing_node.allow(CLIENT, egress(), ingress())
    own, other = ports
    chance = random.Random(own)
    for flow in range(SEGMENTS // SEGMENTS_A_FLOW // 3):
        model, said = Model(), []
        routing_node.datapath.clear("cilium_ct4_global")
        for _ in range(SEGMENTS_A_FLOW):
            direction, flags = chance.choice((OUT, IN)), chance.choice(FLAGS)
            said.append(("out" if direction == OUT else "in", flags))
            if direction == OUT:
                packet = ipv4(CLIENT.ip, REMOTE, tcp(own, other, flags))
                outcome = routing_node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet))
            else:
                packet = ipv4(REMOTE, CLIENT.ip, tcp(other, own, flags))
                frame = ethernet(CLIENT.router_mac, CLIENT.mac, packet)
                outcome = routing_node.arrive(CLIENT, frame, REMOTE_IDENTITY)
            status = [event[26] for event in outcome.events if event[0] == TRACE][-1]
            assert status == model.pass_by(direction, flags), (flow, said)
            assert connections(routing_node) == model.connections, (flow, said)
