"""Numbers of many byte strings, held as hashes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.explain.fingerprints import Fingerprints

MARKS = st.lists(st.tuples(st.binary(max_size=4), st.integers(1, 15)), max_size=300)


@given(MARKS, st.lists(st.binary(max_size=4)), st.integers(0, 100))
def test_it_is_a_dictionary(marks: list[tuple[bytes, int]], others: list[bytes], count: int) -> None:
    held, found = dict[bytes, int](), Fingerprints(count)
    for octets, bits in marks:
        held[octets] = held.get(octets, 0) | bits
    found.mark(marks)
    assert len(found) == len(held)
    assert list(found.of((*held, *others))) == [*held.values(), *(held.get(each, 0) for each in others)]
    found.mark(marks)
    assert len(found) == len(held)
