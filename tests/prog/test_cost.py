"""What the programs cost where that is a number and not a time: bounds, so that growth is noticed."""

from __future__ import annotations

import pytest

from tests.features import running_kernel
from tests.prog.actors import CLIENT, OPTIONS
from tests.prog.datapath import Datapath

ORIGINAL_VERIFIED = 57_636
"""Instructions that the verifier walks for the programs of one endpoint of the original."""


def test_less_to_verify_than_the_original(host_routing: Datapath) -> None:
    """Load time and the verifier's limits both hang on it."""
    verified = {name: found.info.verified_instructions for name, found in host_routing.programs(CLIENT.id).items()}
    assert sum(verified.values()) < ORIGINAL_VERIFIED, verified


@pytest.mark.usefixtures("network")
def test_a_family_that_is_off_is_not_verified(host_routing: Datapath) -> None:
    def verified(datapath: Datapath, family: str) -> int:
        return sum(
            found.info.verified_instructions
            for name, found in datapath.programs(CLIENT.id).items()
            if family in name and "icmp6" not in name and "no_service" not in name
        )

    # Before Linux 6.8 a function of its own is verified even if nobody calls it.
    share = 5 if running_kernel() >= (6, 8) else 2
    with Datapath([CLIENT.endpoint], {**OPTIONS, "enable_ipv6": False}) as single:
        assert verified(single, "ipv4") > 0
        assert verified(single, "ipv6") < verified(host_routing, "ipv6") / share


def test_every_slot_has_its_program(host_routing: Datapath) -> None:
    """Apart from the three entries every program stands in the endpoint's calls map."""
    calls = [key for key in range(48) if host_routing.calls(CLIENT.id).lookup(key.to_bytes(4, "little"))]
    assert len(calls) == len(host_routing.programs(CLIENT.id)) - 3
    assert {7, 10, 13, 14, 26, 27, 28, 30, 31, 33} <= set(calls)
