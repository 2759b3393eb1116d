"""What the programs cost where that is a number and not a time: bounds, so that growth is noticed."""

from __future__ import annotations

from tests.prog.actors import CLIENT
from tests.prog.datapath import Datapath

ORIGINAL_VERIFIED = 57_636
"""Instructions that the verifier walks for the programs of one endpoint of the original."""


def test_less_to_verify_than_the_original(host_routing: Datapath) -> None:
    """Load time and the verifier's limits both hang on it."""
    verified = {name: found.info.verified_instructions for name, found in host_routing.programs(CLIENT.id).items()}
    assert sum(verified.values()) < ORIGINAL_VERIFIED, verified


def test_every_slot_has_its_program(host_routing: Datapath) -> None:
    """Apart from the three entries every program stands in the endpoint's calls map."""
    calls = [key for key in range(48) if host_routing.calls(CLIENT.id).lookup(key.to_bytes(4, "little"))]
    assert len(calls) == len(host_routing.programs(CLIENT.id)) - 3
    assert {7, 10, 13, 14, 26, 27, 28, 30, 31, 33} <= set(calls)
