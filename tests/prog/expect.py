"""What a case expects of a packet, and the comparison."""

from __future__ import annotations

from dataclasses import dataclass

from tests.prog.datapath import Outcome, Redirect

PASS = 0
DROPPED = 2
REDIRECTED = 7

INVALID_SOURCE = 132
DENIED = 133
INVALID = 134
CT_INVALID = 135
CT_UNKNOWN_PROTOCOL = 137
UNKNOWN_L3 = 139
UNKNOWN_TARGET = 150
BAD_EXTENSION = 156
NO_FIRST_FRAGMENT = 175
DENIED_EXPLICITLY = 181
AUTH_REQUIRED = 189
TTL_EXCEEDED = 196
NO_POLICY_PROGRAM = 203


@dataclass(frozen=True)
class Expect:
    """A verdict, and what else matters in the case; None: not looked at."""

    verdict: int
    reason: int | None = None
    packet: bytes | None = None
    redirect: Redirect | None = None
    mark: int | None = None

    def check(self, outcome: Outcome) -> None:
        assert (outcome.verdict, outcome.drop_reason) == (self.verdict, self.reason)
        if self.packet is not None:
            assert outcome.packet.hex() == self.packet.hex()
        if self.redirect is not None:
            assert outcome.redirect == self.redirect
        if self.mark is not None:
            assert outcome.mark == self.mark


def dropped(reason: int) -> Expect:
    return Expect(DROPPED, reason)


def delivered(ifindex: int, packet: bytes | None = None) -> Expect:
    """Put onto the interface of a pod of this node."""
    return Expect(REDIRECTED, packet=packet, redirect=Redirect("redirect", ifindex))
