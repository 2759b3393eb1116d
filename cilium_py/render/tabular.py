"""Aligned columns as Go's text/tabwriter makes them: what Cilium's tables look like, to the byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

PADDING = 3
LEAST_WIDTH = 5


def lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Title line, then one line a row. Each cell of a row is padded, the last one too; the last title is not.

    A cell may hold newlines' worth of further rows: see `blocks`.
    """
    cells = [list(row) for row in rows]
    columns = len(titles)
    widths = [
        max(LEAST_WIDTH, max((len(row[at]) for row in cells if at < len(row)), default=0) + PADDING)
        for at in range(columns)
    ]
    for at, title in enumerate(titles[:-1]):
        widths[at] = max(widths[at], len(title) + PADDING)
    yield "".join(t.ljust(w) for t, w in zip(titles[:-1], widths, strict=False)) + titles[-1]
    for row in cells:
        yield "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
