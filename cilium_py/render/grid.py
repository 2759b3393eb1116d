"""`-o table`: columns as tabulate makes them, of any number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cilium_py.render.spool import Spool
from cilium_py.render.tabular import spooled


def lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The titles, then one line a row. An error while reading comes after the lines of what was read before it."""
    from tabulate import tabulate

    with Spool[list[tuple[str, ...]]]() as body:
        longest, failure = spooled(body, rows, len(titles))
        # tabulate makes one piece at a time; a row as wide as the widest cells keeps the columns of all pieces alike.
        ruler = tuple("x" * max(length, 1) for length in longest)

        def made(piece: list[tuple[str, ...]]) -> list[str]:
            return tabulate([ruler, *piece], headers=titles, tablefmt="plain", disable_numparse=True).splitlines()

        if len(body) or failure is None:
            yield made([])[0]
        for piece in body:
            yield from made(piece)[2:]
    if failure is not None:
        raise failure
