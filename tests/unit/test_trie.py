"""The order of an LPM trie, and how it shows that a walk began again."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.bpf.trie import Progress

BITS = 16

prefixes = st.tuples(st.integers(0, BITS), st.integers(0, 2**BITS - 1)).map(
    lambda drawn: (drawn[0], drawn[1] >> BITS - drawn[0] << BITS - drawn[0])
)
tables = st.sets(prefixes, max_size=40)


def walked(table: set[tuple[int, int]], length: int = 0, address: int = 0) -> list[tuple[int, int]]:
    """A trie's walk by its definition: what is under the 0 side, what is under the 1 side, then the node itself."""
    if not any(entry[0] >= length and entry[1] >> BITS - length == address >> BITS - length for entry in table):
        return []
    own = [(length, address)] if (length, address) in table else []
    if length == BITS:
        return own
    one = address | 1 << BITS - length - 1
    return walked(table, length + 1, address) + walked(table, length + 1, one) + own


def octets(entries: list[tuple[int, int]]) -> memoryview:
    return memoryview(b"".join(struct.pack("=I", length) + struct.pack(">H", at) for length, at in entries))


@given(tables)
def test_a_plain_walk_is_all_new(table: set[tuple[int, int]]) -> None:
    order = walked(table)
    assert len(order) == len(table)
    progress = Progress(6)
    for entry in order:
        assert progress.advance(octets([entry])) is None


@given(tables, st.data())
def test_what_a_restart_repeats_is_left_out(table: set[tuple[int, int]], data: st.DataObject) -> None:
    """A walk that stops anywhere, begins again on a changed table and goes on, in batches of any size."""
    first = walked(table)
    reached = data.draw(st.integers(0, len(first)))
    gone = set(data.draw(st.permutations(first))[: data.draw(st.integers(0, 5))])
    second = walked(table - gone)
    seen = first[:reached] + second
    room = data.draw(st.integers(1, 50))
    progress, found = Progress(6), []
    for at in range(0, len(seen), room):
        some = seen[at : at + room]
        fresh = progress.advance(octets(some))
        found += some if fresh is None else [some[index] for index in fresh]
    assert len(found) == len(set(found))
    assert set(found) >= table - gone
