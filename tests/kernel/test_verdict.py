"""Which entry of a policy map decides over a packet, on real maps of several releases."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from cilium_py.libbpf.constants import MapType
from cilium_py.maps import policy
from tests.kernel.node import explained, pin, small_node


@pytest.fixture
def pins(bpffs: Path) -> Path:
    return small_node(bpffs)


class Policy(NamedTuple):
    """Entries (direction, identity, protocol and port prefix, deny) and what they say of port 8080 at the server."""

    title: str
    entries: list[tuple[int, int, int, int, int, bool]]
    allowed: bool | None
    entry: str


POLICIES = [
    Policy("this identity and port", [(0, 256, 6, 8080, 24, False)], True, "allow ingress 256 8080/TCP"),
    Policy("anyone, this port", [(0, 0, 6, 8080, 24, False)], True, "allow ingress ANY 8080/TCP"),
    Policy("all of this identity", [(0, 256, 0, 0, 0, False)], True, "allow ingress 256 ANY"),
    Policy("a range of ports", [(0, 256, 6, 8064, 18, False)], True, "allow ingress 256 8064-8127/TCP"),
    Policy("a denial of anyone", [(0, 256, 6, 8080, 24, False), (0, 0, 0, 0, 0, True)], False, "deny ingress ANY ANY"),
    Policy("another port", [(0, 256, 6, 81, 24, False)], None, ""),
    Policy("another direction", [(1, 256, 6, 8080, 24, False)], None, ""),
]


@pytest.mark.parametrize("case", POLICIES, ids=lambda case: case.title)
def test_the_entry_that_decides(case: Policy, pins: Path) -> None:
    pin(pins, "cilium_policy_v2_00002", [
        (policy.Key(prefixlen=40 + bits, sec_label=identity, egress=direction, protocol=protocol, dport=port),
         policy.Entry(flags=int(deny) | bits << 3))
        for direction, identity, protocol, port, bits, deny in case.entries
    ], MapType.LPM_TRIE)  # fmt: skip
    found = explained(pins, "10.0.0.1", "10.0.0.2:8080", 6)
    [ingress] = found.policy
    assert (ingress.endpoint, ingress.direction, ingress.allowed, ingress.entry) == (
        2,
        "ingress",
        case.allowed,
        case.entry,
    )
    assert [each.endpoint for each in found.unread] == [1]
    assert found.allowed == case.allowed


class Ranked(NamedTuple):
    """Entries of 1.19: (identity, protocol, port, bits, deny, precedence, authentication and whether explicit)."""

    title: str
    entries: list[tuple[int, int, int, int, bool, int, int]]
    allowed: bool
    entry: str
    auth_type: str = "disabled"


SPIRE = 1
RANKED = [
    Ranked("the higher precedence", [(256, 6, 8080, 24, False, 20, 0), (0, 6, 8080, 24, True, 30, 0)],
           False, "deny ingress ANY 8080/TCP"),
    Ranked("an allowance of more precedence than a denial",
           [(256, 6, 8080, 24, True, 20, 0), (0, 0, 0, 0, False, 30, 0)], True, "allow ingress ANY ANY"),
    Ranked("the denial of a peer of more precedence", [(256, 0, 0, 0, True, 40, 0), (0, 6, 8080, 24, False, 30, 0)],
           False, "deny ingress 256 ANY"),
    Ranked("of two alike, the longer prefix", [(256, 6, 0, 8, False, 30, 0), (0, 6, 8080, 24, False, 30, 0)],
           True, "allow ingress ANY 8080/TCP"),
    Ranked("of two alike in all, the peer's", [(256, 6, 8080, 24, False, 30, 0), (0, 6, 8080, 24, False, 30, 0)],
           True, "allow ingress 256 8080/TCP"),
    Ranked("authentication that the other one demands",
           [(256, 6, 8080, 24, False, 30, 0), (0, 0, 0, 0, False, 30, SPIRE)], True, "allow ingress 256 8080/TCP",
           "spire"),
    Ranked("no authentication, explicitly",
           [(256, 6, 8080, 24, False, 30, 0x80), (0, 0, 0, 0, False, 30, SPIRE)], True, "allow ingress 256 8080/TCP"),
    Ranked("authentication of another precedence",
           [(256, 6, 8080, 24, False, 30, 0), (0, 0, 0, 0, False, 20, SPIRE)], True, "allow ingress 256 8080/TCP"),
]  # fmt: skip


@pytest.mark.parametrize("pinned", ["cilium_policy_v2_00002", "cilium_policy_v3_00002"])
@pytest.mark.parametrize("case", RANKED, ids=lambda case: case.title)
def test_the_entry_of_the_highest_precedence_decides(case: Ranked, pinned: str, pins: Path) -> None:
    pin(pins, pinned, [
        (policy.Key(prefixlen=40 + bits, sec_label=identity, protocol=protocol, dport=port),
         policy.Entry19(flags=int(deny) | bits << 3, precedence=precedence, auth=auth))
        for identity, protocol, port, bits, deny, precedence, auth in case.entries
    ], MapType.LPM_TRIE)  # fmt: skip
    [ingress] = explained(pins, "10.0.0.1", "10.0.0.2:8080", 6).policy
    assert (ingress.allowed, ingress.entry, ingress.auth_type) == (case.allowed, case.entry, case.auth_type)
    assert ingress.precedence == max(entry[5] for entry in case.entries)
