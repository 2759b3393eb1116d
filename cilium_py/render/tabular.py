"""Aligned columns as Go's text/tabwriter makes them: what Cilium's tables look like, to the byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cilium_py.render.spool import Spool
from cilium_py.render.stream import READING, chunks
from cilium_py.schema import Line, Table

PADDING = 3
LEAST_WIDTH = 5


def text_lines(text: Table[Any] | Line[Any], rows: Iterable[Any]) -> Iterator[str]:
    """The lines of rows, as their definition says."""
    if isinstance(text, Line):
        return map(text.line, filter(text.shown, rows) if text.shown else rows)
    return lines(text.titles, map(text.cells, rows), text.padded, text.titles_when_empty)


def lines(
    titles: Sequence[str], rows: Iterable[Sequence[str]], padded: str = "rows", titles_when_empty: bool = True
) -> Iterator[str]:
    """The titles, then one line a row. `padded` says whose last cell is padded: "rows", "all" or "none".

    An error while reading comes after the lines of what was read before it; there are none if that is nothing.
    """
    with Spool[list[tuple[str, ...]]]() as body:
        longest, failure = spooled(body, rows, len(titles))
        if len(body) or (titles_when_empty and failure is None):
            widths = widths_of(titles, longest, padded)
            yield title_line(titles, widths, padded)
            line = _template(len(titles), widths[: padded_cells(titles, padded)])
            for chunk in body:
                for row in chunk:
                    yield line % row
    if failure is not None:
        raise failure


def spooled(
    body: Spool[list[tuple[str, ...]]], rows: Iterable[Sequence[str]], columns: int
) -> tuple[list[int], Exception | None]:
    """Fill the spool with rows; the length of each column's longest cell, and what ended the reading, if anything."""
    longest = [0] * columns
    try:
        for chunk in chunks(map(tuple, rows)):
            longest = [
                max(most, *map(len, cells)) for most, cells in zip(longest, zip(*chunk, strict=True), strict=False)
            ]
            body.add(chunk)
    except READING as error:
        return longest, error
    return longest, None


def padded_cells(titles: Sequence[str], padded: str) -> int:
    """How many cells of a row are padded."""
    return len(titles) - 1 if padded == "none" else len(titles)


def widths_of(titles: Sequence[str], longest: Sequence[int], padded: str) -> list[int]:
    """How wide the columns are, if their longest cells are so long."""
    widths = [LEAST_WIDTH] * len(titles)
    for at, length in enumerate(longest[: padded_cells(titles, padded)]):
        widths[at] = max(LEAST_WIDTH, length + PADDING)
    for at, title in enumerate(titles if padded == "all" else titles[:-1]):
        widths[at] = max(widths[at], len(title) + PADDING)
    return widths


def title_line(titles: Sequence[str], widths: Sequence[int], padded: str) -> str:
    return _template(len(titles), widths if padded == "all" else widths[: len(titles) - 1]) % tuple(titles)


def _template(count: int, widths: Sequence[int]) -> str:
    """Of so many cells, those that have a width padded to it, the others as they are."""
    return "".join(f"%-{width}s" for width in widths) + "%s" * (count - len(widths))
