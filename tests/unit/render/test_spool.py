"""What is kept and sorted beside the memory, held against lists and sorted()."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import CiliumPyError, Partial
from cilium_py.render import tabular
from cilium_py.render.spool import FIRST, Spool, arranged
from cilium_py.render.stream import CHUNK

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers()), max_size=40)


@given(PAIRS, st.booleans(), st.integers(1, 50), st.none() | st.integers(0, 45))
def test_items_come_as_sorted_has_them_however_few_are_in_memory(
    pairs: list[tuple[int, int]], reverse: bool, run: int, limit: int | None
) -> None:
    found = arranged(pairs, lambda pair: pair[0], reverse=reverse, limit=limit, run=run)
    assert list(found) == sorted(pairs, key=lambda pair: pair[0], reverse=reverse)[:limit]


@pytest.mark.parametrize("run", [2, 100])
def test_an_error_comes_after_what_was_read_and_whatever_the_limit_is(run: int) -> None:
    def items() -> Iterator[int]:
        yield from (3, 1, 2)
        raise Partial("the map changed")

    found = arranged(items(), lambda item: item, run=run, limit=2)
    assert list(islice(found, 2)) == [1, 2]
    with pytest.raises(Partial):
        next(found)


def test_a_spool_is_gone_through_again_and_again() -> None:
    chunks = [[(number, str(number), b"\0" * number)] for number in range(3 * FIRST)]
    with Spool[list[tuple[int, str, bytes]]]() as spool:
        for chunk in chunks:
            spool.add(chunk)
        assert list(spool) == chunks
        assert list(zip(spool, spool, strict=True)) == list(zip(chunks, chunks, strict=True))
        assert len(spool) == len(chunks)


def test_nothing_is_left_and_no_name_is_ever_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = list(Path("/proc/self/fd").iterdir())
    with Spool[bytes](first=0) as spool:
        spool.add(b"something")
        assert not list(tmp_path.iterdir())
    assert list(Path("/proc/self/fd").iterdir()) == before


def test_where_nothing_can_be_written_it_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert list(arranged(range(1000, 0, -1), lambda item: item, run=10)) == list(range(1, 1001))


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full.open("wb", buffering=0))
    with Spool[bytes](first=0) as spool, pytest.raises(CiliumPyError, match="No space left") as caught:
        spool.add(b"something")
    assert "TMPDIR" in str(caught.value.hint)


def test_columns_are_as_wide_as_the_longest_of_all_cells() -> None:
    count = (FIRST + 2) * CHUNK
    rows = [(str(number), "x" * (number % 7)) for number in range(count)]
    lines = list(tabular.lines(("N", "TEXT"), rows, padded="none"))
    assert len(lines) == count + 1
    assert {line.index("x") for line in lines if "x" in line} == {len(str(count)) + tabular.PADDING}
