"""Aligned columns as Go's text/tabwriter makes them: what Cilium's tables look like, to the byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cilium_py.render.stream import collected
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
    """The titles, then one line a row. `padded` says whose last cell is padded: "rows", "all" or "none"."""
    return collected(map(tuple, rows), lambda body: _table(titles, body, padded, titles_when_empty))


def _table(
    titles: Sequence[str], body: list[tuple[str, ...]], padded: str, titles_when_empty: bool
) -> Iterator[str]:  # fmt: skip
    if not body and not titles_when_empty:
        return
    columns = zip(*body, strict=True) if body else iter(())
    widths = widths_of(titles, [max(map(len, column)) for column in columns], padded)
    yield title_line(titles, widths, padded)
    widths = widths[: padded_cells(titles, padded)]
    for row in body:
        yield _line(row, widths)


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
    return _line(titles, widths if padded == "all" else widths[: len(titles) - 1])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The cells that have a width padded to it, the others as they are."""
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "".join((*padded, *cells[len(widths) :]))
