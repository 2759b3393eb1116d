"""`top`: who has most entries, packets or bytes, live."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, Any

import click

from cilium_py.cli.context import Settings, settings
from cilium_py.cli.screen import is_capable, live
from cilium_py.cli.select import SelectingCommand, asked, moment_of
from cilium_py.cli.watch import Lasting, interval_option, looks, now
from cilium_py.errors import WrongUsage

if TYPE_CHECKING:
    from cilium_py.cli.verbs import Target, Words
    from cilium_py.select.fields import Field
    from cilium_py.select.groups import Group

SORTS = ("entries", "packets", "bytes", "packets/s", "bytes/s")
SMALLEST, LINES_AROUND = 5, 4
UNITS = ("", "k", "M", "G", "T", "P", "E")


def top_command(target: Target) -> click.Command:
    from cilium_py.cli.verbs import table_words

    help = (
        "Show which groups of entries have most: live at a terminal, else one table after another.\n\n"
        "At a terminal, s sorts by the next column, r turns the order round, q ends.\n\n\b\n"
        f"{target.path} top\n{target.path} top --by {_sample(target)} --rounds 1"
    )

    @click.command("top", cls=SelectingCommand, subject=target.subject, help=help)
    @table_words(target)
    @interval_option
    @click.option("--by", multiple=True, metavar="FIELD,...", shell_complete=_fields(target), help="what to group by")
    @click.option("--sort", metavar="COLUMN", shell_complete=_sorts, help=f"{', '.join(SORTS)} [bytes, or entries]")
    @click.option("--limit", type=click.IntRange(1), metavar="N", help="groups shown [20, or the terminal]")
    @click.option("-o", "--output", metavar="FORMAT", help="text or jsonl")
    @settings
    def command(
        where: Settings, interval: float, rounds: int | None, by: tuple[str, ...], sort: str | None, limit: int | None,
        output: str | None, table: Words = (),
    ) -> None:  # fmt: skip
        if output not in (None, "text", "jsonl"):
            raise WrongUsage(f"-o {output}: a live table has no end", "text or jsonl")
        if where.recording is not None:
            rounds = 1
        view = View(target, where, table, by, sort, limit, rounds != 1)
        try:
            if output != "jsonl" and is_capable() and rounds is None:
                view.look()
                live(view.look, view.screen, interval, view.press)
            else:
                plain(view, interval, rounds, as_json=output == "jsonl")
        except KeyboardInterrupt:
            return

    return command


def _sample(target: Target) -> str:
    names: tuple[str, ...] = target.definition.row._fields
    words = [name for name in ("protocol", "direction", "destination_port", "identity") if name in names]
    return ",".join(words[:2]) or names[0]


def _fields(target: Target) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [before + comma + name for name in target.subject.fields() if name.startswith(last)]

    return complete


def _sorts(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [sort for sort in SORTS if sort.startswith(incomplete)]


def count_of(group: Group, column: str) -> float | None:
    """What a group has in a column."""
    count: float | None = getattr(group, column.replace("/s", "_per_second"))
    return count


class View:
    """What is grouped and how it is shown; `look` reads the tables again."""

    def __init__(
        self, target: Target, where: Settings, words: Words, by: Sequence[str], sort: str | None, limit: int | None,
        rates: bool,
    ) -> None:  # fmt: skip
        from cilium_py.select.groups import Tally, grouping

        self.target = target
        self.where = where
        self.tables = Lasting(target, where, words)
        fields = asked().fields
        self.by: list[Field] = grouping(by, fields)
        self.sorts = [each for each in SORTS if each == "entries" or each.partition("/")[0] in fields]
        if not rates:
            self.sorts = [each for each in self.sorts if "/" not in each]
        if sort is not None and sort not in self.sorts:
            raise WrongUsage(f"--sort {sort}: no such column", f"one of {', '.join(self.sorts)}")
        self.sort = sort or ("bytes" if "bytes" in self.sorts else "entries")
        self.ascending = False
        self.limit = limit
        self.tally: Tally[Any] = Tally(self.by, fields, rates=rates)
        self.groups: list[Group] = []

    def look(self) -> None:
        self.groups = self.tally.look(self.tables, moment_of(self.where), self.target.definition.keep)

    def first(self, most: int) -> list[Group]:
        order = nsmallest if self.ascending else nlargest
        return order(most, self.groups, key=lambda group: (count_of(group, self.sort) or 0, group.entries))

    def press(self, key: str) -> None:
        if key == "s":
            self.sort = self.sorts[(self.sorts.index(self.sort) + 1) % len(self.sorts)]
        elif key == "r":
            self.ascending = not self.ascending

    def lines(self, most: int) -> Iterator[str]:
        """Titles and the first groups in aligned columns, numbers to the right."""
        shown = self.first(most)
        titles = [field.name.upper().replace("_", " ") for field in self.by] + [each.upper() for each in self.sorts]
        body = [
            [_said(field, value) for field, value in zip(self.by, group.values, strict=True)]
            + [_number(count_of(group, each)) for each in self.sorts]
            for group in shown
        ]
        widths = [max(map(len, column)) for column in zip(titles, *body, strict=True)]
        for line in (titles, *body):
            cells = [
                cell.ljust(width) if at < len(self.by) else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            yield "  ".join(cells).rstrip()

    def objects(self, most: int) -> Iterator[dict[str, Any]]:
        for group in self.first(most):
            values = {field.name: _plain(field, value) for field, value in zip(self.by, group.values, strict=True)}
            counts = {each.replace("/s", "_per_second"): count_of(group, each) for each in self.sorts}
            yield {"time": now(), **values, **counts}

    def screen(self, height: int) -> list[str]:
        """The lines of a screen of this height."""
        most = min(self.limit or height, max(height - LINES_AROUND, SMALLEST))
        return [*[self.summary(), "", *self.lines(most)][: height - 1], "s sort  r reverse  q quit"]

    def summary(self) -> str:
        if self.tables.missing:
            return f"{now()[11:19]}  {self.tables.missing}"
        order = "least" if self.ascending else "most"
        entries = sum(group.entries for group in self.groups)
        return f"{now()[11:19]}  {entries} entries in {len(self.groups)} groups, {order} {self.sort} first"


def _plain(field: Field, value: Any) -> Any:
    from cilium_py.schema.text import ip, mac, prefix
    from cilium_py.select.fields import Kind

    texts: dict[Kind, Callable[[Any], str]] = {Kind.ADDRESS: ip, Kind.MAC: mac, Kind.PREFIX: prefix}
    return texts[field.kind](value) if value is not None and field.kind in texts else value


def _said(field: Field, value: Any) -> str:
    from cilium_py.select.selection import text_of

    return text_of(_plain(field, value)) or "-"


def _number(count: float | None) -> str:
    """1234, 56.7k, 8.9M."""
    if count is None:
        return "-"
    if count < 10_000:
        return str(round(count))
    power = 0
    while count >= 1000 and power < len(UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.1f}{UNITS[power]}"


def plain(view: View, interval: float, rounds: int | None, *, as_json: bool) -> None:
    """One table after another, an empty line between them."""
    for number, _ in enumerate(looks(interval, rounds)):
        view.look()
        if as_json:
            view.tables.remark()
            for each in view.objects(view.limit or len(view.groups)):
                print(json.dumps(each, ensure_ascii=False))
        else:
            print(("\n" if number else "") + "\n".join((view.summary(), *view.lines(view.limit or 20))))
        sys.stdout.flush()
