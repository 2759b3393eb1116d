"""Numbers of many byte strings, held as hashes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.explain.fingerprints import LEAST, Fingerprints

MARKS = st.lists(st.tuples(st.binary(max_size=4), st.integers(1, 15)), max_size=300)


@given(MARKS, st.lists(st.binary(max_size=4)))
def test_it_is_a_dictionary(marks: list[tuple[bytes, int]], others: list[bytes]) -> None:
    held, found = dict[bytes, int](), Fingerprints()
    for octets, bits in marks:
        held[octets] = held.get(octets, 0) | bits
        found.mark(octets, bits)
    assert len(found) == len(held)
    for octets in (*held, *others):
        assert found.of(octets) == held.get(octets, 0)


def test_it_grows() -> None:
    found = Fingerprints("Q")
    for number in range(3 * LEAST):
        found.mark(number.to_bytes(14), number + 1 << 40)
    assert len(found) == 3 * LEAST
    assert all(found.of(number.to_bytes(14)) == number + 1 << 40 for number in range(3 * LEAST))
    assert found.of(bytes(15)) == 0
