"""Random rules and packets: the entries of the policy map against a plain reading of the rules."""

from __future__ import annotations

import json
import random

import pytest

from cilium_py.policy.changes import plan
from cilium_py.policy.mapstate import Entry, Key, decide
from cilium_py.policy.ports import exactly
from cilium_py.policy.rule import Direction
from tests.unit.policy import reading, world

SEEDS = range(60)
PACKETS = 60


def verdict(state: dict[Key, Entry], direction: Direction, identity: int, packet: reading.Packet) -> Entry | None:
    """The entry that lets the packet pass, or None."""
    found = decide(state, direction, identity, exactly(packet.protocol, packet.port))
    return None if found is None or found.entry.deny else found.entry


@pytest.mark.parametrize("seed", SEEDS)
def test_entries_mean_what_the_rules_say(seed: int) -> None:
    rng = random.Random(seed)
    actors, rules = world.World(rng), reading.random_rules(rng)
    repository = world.repository(rules)
    identities, own = actors.identities(repository), reading.random_labels(rng)
    policy = world.policy_of(repository, identities, own)
    proxies = world.proxy_names(repository)
    for _ in range(PACKETS):
        packet = reading.random_packet(rng, actors.peers)
        identity = actors.identity(packet.peer, identities)
        passing = verdict(dict(policy.entries), Direction[packet.direction.upper()], identity, packet)
        meant = reading.read(rules, own, packet, reading.NAMES)
        ours = reading.Meaning(passing is not None, proxies.get(passing.proxy_port) if passing else None)
        assert ours == meant, f"{packet}\n{own}\n{json.dumps(rules, indent=1)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_step_between_two_revisions_breaks_what_they_agree_on(seed: int) -> None:
    rng = random.Random(seed)
    actors = world.World(rng)
    before, after = (world.repository(reading.random_rules(rng)) for _ in range(2))
    identities, own = actors.identities(before, after), reading.random_labels(rng)
    old, new = (dict(world.policy_of(rules, identities, own).entries) for rules in (before, after))
    packets = [reading.random_packet(rng, actors.peers) for _ in range(PACKETS)]
    asked = [(Direction[p.direction.upper()], actors.identity(p.peer, identities), p) for p in packets]
    agreed = []
    for one in asked:
        first, last = verdict(old, *one), verdict(new, *one)
        if (first is None) == (last is None):
            agreed.append((one, first is not None, bool(first and last and first.proxy_port and last.proxy_port)))
    state = dict(old)
    for step in plan(old, new):
        if step.entry is None:
            del state[step.key]
        else:
            state[step.key] = step.entry
        for one, passes, proxied in agreed:
            now = verdict(state, *one)
            assert (now is not None) == passes, f"{step}: {one}"
            assert not proxied or (now and now.proxy_port), f"{step}: {one} goes past its proxy"
    assert state == new
