"""Dense random map states: two identities and eight ports, so that entries cover each other in every way."""

from __future__ import annotations

import random

import pytest

from cilium_py.policy.changes import plan
from cilium_py.policy.mapstate import (
    ALLOW,
    ANYONE,
    DENY,
    Entry,
    Key,
    Row,
    datapath_priority,
    decide,
    gather,
    merge,
    settle,
)
from cilium_py.policy.ports import EVERYTHING, FULL_BITS, L4, PROTOCOL_BITS, TCP, exactly, port_range
from cilium_py.policy.rule import Direction

PEER = 300
PORTS = range(8, 16)
SEEDS = range(40)
IN = Direction.INGRESS


def random_prefix(rng: random.Random) -> L4:
    bits = rng.choice([0, PROTOCOL_BITS, 20, 21, 22, 23, 24])
    if bits <= PROTOCOL_BITS:
        return L4(TCP, 0, bits) if bits else EVERYTHING
    mask = 0xFFFF << (FULL_BITS - bits) & 0xFFFF
    return L4(TCP, rng.choice(PORTS) & mask, bits)


def random_entries(rng: random.Random) -> list[tuple[L4, Entry]]:
    choices = [ALLOW, ALLOW, DENY, Entry(proxy_port=10001, priority=1), Entry(proxy_port=10002, priority=9)]
    return [(random_prefix(rng), rng.choice(choices)) for _ in range(rng.randint(0, 5))]


def state_of(anyone: list[tuple[L4, Entry]], peer: list[tuple[L4, Entry]]) -> dict[Key, Entry]:
    row = gather(anyone)
    wild = settle(row, row, with_auth=False)
    own = settle(gather(peer), wild, with_auth=False)
    return {Key(IN, identity, l4): e for identity, r in ((ANYONE, wild), (PEER, own)) for l4, e in r.items()}


def meant(entries: list[tuple[L4, Entry]], port: int) -> Entry | None:
    """The strongest of all that cover a port, without regard to any order of lookup."""
    covering = [entry for l4, entry in entries if l4 in exactly(TCP, port).broader()]
    return max(covering, key=lambda entry: entry.rank, default=None)


def passing(state: dict[Key, Entry], port: int) -> Entry | None:
    found = decide(state, IN, PEER, exactly(TCP, port))
    return found.entry if found and not found.entry.deny else None


@pytest.mark.parametrize("seed", SEEDS)
def test_the_strongest_entry_decides(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        anyone, peer = random_entries(rng), random_entries(rng)
        state = state_of(anyone, peer)
        for port in PORTS:
            found = decide(state, IN, PEER, exactly(TCP, port))
            assert (found.entry if found else None) == meant([*anyone, *peer], port), (anyone, peer, port)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_keep_what_both_ends_agree_on(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        old, new = (state_of(random_entries(rng), random_entries(rng)) for _ in range(2))
        ends = {port: (passing(old, port), passing(new, port)) for port in PORTS}
        state, steps = dict(old), list(plan(old, new))
        differing = (
            {key: e for key, e in old.items() if new.get(key) != e},
            {k: e for k, e in new.items() if old.get(k) != e},
        )
        assert list(plan(*differing, new)) == steps
        for step in steps:
            if step.entry is None:
                del state[step.key]
            else:
                assert state.get(step.key) != step.entry
                state[step.key] = step.entry
            for port, (first, last) in ends.items():
                now = passing(state, port)
                if (first is None) == (last is None):
                    assert (now is None) == (first is None), (old, new, step, port)
                if first and last and first.proxy_port and last.proxy_port:
                    assert now is not None
                    assert now.proxy_port, (old, new, step, port)
        assert state == new


@pytest.mark.parametrize("seed", SEEDS)
def test_ranges_are_covered_exactly(seed: int) -> None:
    rng = random.Random(seed)
    first = rng.randint(1, 65535)
    last = rng.randint(first, 65535)
    prefixes = port_range(TCP, first, last)
    covered = [port for l4 in prefixes for port in range(l4.port, l4.last + 1)]
    assert covered == list(range(first, last + 1))
    assert len(prefixes) <= 30


AUTH, NO_AUTH = Entry(auth=1, explicit_auth=True), Entry(auth=0, explicit_auth=True)
WEB, PROXIED = exactly(TCP, 80), Entry(proxy_port=10001, priority=27)


@pytest.mark.parametrize(
    ("row", "settled"),
    [
        ({EVERYTHING: AUTH, WEB: ALLOW}, {EVERYTHING: AUTH, WEB: Entry(auth=1)}),
        ({EVERYTHING: AUTH, WEB: NO_AUTH}, {EVERYTHING: AUTH, WEB: NO_AUTH}),
        ({EVERYTHING: PROXIED, WEB: ALLOW}, {EVERYTHING: PROXIED}),
        ({EVERYTHING: PROXIED, WEB: AUTH}, {EVERYTHING: PROXIED, WEB: AUTH._replace(proxy_port=10001, priority=27)}),
        ({EVERYTHING: DENY, WEB: AUTH}, {EVERYTHING: DENY}),
        ({EVERYTHING: AUTH, WEB: DENY}, {EVERYTHING: AUTH, WEB: DENY}),
    ],
    ids=["inherited", "own", "covered by a proxy", "own below a proxy", "denied", "deny within"],
)
def test_authentication_is_inherited_by_what_says_nothing_of_it(row: Row, settled: Row) -> None:
    assert settle(row, {}, with_auth=True) == settled


def test_two_entries_of_one_key_become_one() -> None:
    assert merge(ALLOW, DENY) == DENY
    assert merge(PROXIED, ALLOW) == PROXIED
    assert merge(PROXIED, AUTH) == Entry(False, 10001, 27, 1, True)
    assert merge(AUTH, NO_AUTH) == AUTH


@pytest.mark.parametrize(("listener", "datapath"), [(1, 127), (100, 28), (101, 27), (126, 2), (0, 1)])
def test_a_small_listener_priority_is_a_large_one_of_the_datapath(listener: int, datapath: int) -> None:
    assert datapath_priority(listener) == datapath
