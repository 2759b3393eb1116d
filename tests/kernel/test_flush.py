"""Forgetting connections: all of them, with the NAT mappings that are theirs and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import ct, nat
from cilium_py.node import conntrack
from cilium_py.table import open_source

POD, PEER, NODE, OTHER = (bytes([10, 0, 0, last]) for last in (1, 2, 3, 4))


def flow(sport: int, flags: int = ct.TUPLE_OUT) -> ct.Key4:
    """The key of a flow from POD to PEER: turned round, as conntrack has it."""
    return ct.Key4(daddr=POD, saddr=PEER, dport=443, sport=sport, nexthdr=6, flags=flags)


def translation(sport: int, to_port: int) -> dict[bytes, bytes]:
    """The mapping of a flow from POD to PEER, and the one of its replies."""
    out = ct.Key4(daddr=PEER, saddr=POD, dport=443, sport=sport, nexthdr=6, flags=ct.TUPLE_OUT)
    back = ct.Key4(daddr=NODE, saddr=PEER, dport=to_port, sport=443, nexthdr=6, flags=ct.TUPLE_IN)
    return {
        out.pack(): nat.Entry4(to_saddr=NODE, to_sport=to_port).pack(),
        back.pack(): nat.Entry4(to_saddr=POD, to_sport=sport).pack(),
    }


def pinned(pins: Path, pin: str, value_size: int, entries: dict[bytes, bytes]) -> None:
    with BpfMap.create(name=pin, type=MapType.LRU_HASH, key_size=14, value_size=value_size, max_entries=65536) as made:
        for key, value in entries.items():
            made.update(key, value)
        made.pin(pins / pin)


def entries(pins: Path, pin: str) -> dict[bytes, bytes]:
    with BpfMap.open(pins / pin) as opened:
        return dict(opened.entries())


CT, NAT = "cilium_ct4_global", "cilium_snat_v4_external"


def test_mappings_go_with_their_connections(pins: Path) -> None:
    key = ct.Key4(daddr=POD, saddr=PEER, dport=1024, sport=443, nexthdr=6)
    mapping = ct.Key4(daddr=PEER, saddr=POD, dport=1024, sport=443, nexthdr=6)
    reply = ct.Key4(daddr=NODE, saddr=PEER, dport=5000, sport=1024, nexthdr=6, flags=ct.TUPLE_IN)
    direct = ct.Key4(daddr=OTHER, saddr=PEER, dport=80, sport=1025, nexthdr=6)
    direct_mapping = ct.Key4(daddr=OTHER, saddr=PEER, dport=1025, sport=80, nexthdr=6)
    unrelated = translation(9, 9)
    pinned(pins, CT, 56, {
        key.pack(): ct.Entry().pack(),
        flow(7, ct.TUPLE_IN).pack(): ct.Entry().pack(),
        direct.pack(): ct.Entry(flags=conntrack.DSR_INTERNAL).pack(),
    })  # fmt: skip
    pinned(pins, NAT, 40, {
        mapping.pack(): nat.Entry4(to_saddr=NODE, to_sport=5000).pack(),
        reply.pack(): nat.Entry4().pack(),
        direct_mapping.pack(): nat.Entry4().pack(),
        **unrelated,
    })  # fmt: skip
    with open_source(ct.GLOBAL[0], pins, read_only=False) as table:
        assert conntrack.forget(table) == 3
    assert entries(pins, CT) == {}
    assert set(entries(pins, NAT)) == set(unrelated)


@pytest.mark.parametrize("has_nat", [False, True])
@pytest.mark.parametrize("keep_static", [False, True])
def test_more_than_a_batch(pins: Path, has_nat: bool, keep_static: bool) -> None:
    table = {flow(sport).pack(): ct.Entry(lifetime=ct.NEVER if sport % 5 == 0 else 1).pack() for sport in range(10_000)}
    pinned(pins, CT, 56, table)
    pinned(pins, NAT, 40, translation(1, 1) if has_nat else {})
    with open_source(ct.GLOBAL[0], pins, read_only=False) as opened:
        assert conntrack.forget(opened, keep_static=keep_static) == (8000 if keep_static else 10_000)
    assert len(entries(pins, CT)) == (2000 if keep_static else 0)
