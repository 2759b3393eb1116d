"""Two looks at one table differ in what came, went and changed in between, however the entries are cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.bpf.batch import Batch
from cilium_py.select.looks import Difference, Look

KEYS = st.integers(0, 30).map(lambda number: bytes([number]))
TABLES = st.lists(st.tuples(KEYS, st.sampled_from([b"a", b"b"])), unique_by=lambda entry: entry[0], max_size=30)


def seen(look: Look, entries: list[tuple[bytes, bytes]], size: int) -> list[Difference]:
    found = []
    for start in range(0, len(entries), size):
        keys, values = (memoryview(b"".join(part)) for part in zip(*entries[start : start + size], strict=True))
        found += look.see(Batch(keys, values, len(keys)))
    return [*found, *look.end()]


@given(looks=st.lists(st.tuples(TABLES, st.integers(1, 8), st.booleans()), min_size=1, max_size=5))
def test_differences_are_those_of_the_tables(looks: list[tuple[list[tuple[bytes, bytes]], int, bool]]) -> None:
    before: Look | None = None
    known: dict[bytes, bytes] = {}
    for entries, size, in_order in looks:
        look = Look(before)
        found = seen(look, sorted(entries) if in_order else entries, size)
        now = dict(entries)
        wanted = [
            Difference(key, known.get(key), now.get(key))
            for key in known.keys() | now.keys()
            if known.get(key) != now.get(key)
        ]
        assert sorted(found, key=lambda each: each.key) == (
            [] if before is None else sorted(wanted, key=lambda each: each.key)
        )
        before, known = look, now


def test_a_table_that_was_not_there_is_new() -> None:
    assert seen(Look(Look()), [(b"k", b"v")], 1) == [Difference(b"k", None, b"v")]
