"""Lists whose rows are no map's alone: what they are made of, and their verbs `count` and `watch`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cilium_py.cli.context import Settings, settings
from cilium_py.cli.select import Asked, SelectingCommand, Subject, asked
from cilium_py.cli.watch import format_option, interval_option, looks, show_changes
from cilium_py.schema import Line, Table

if TYPE_CHECKING:
    from cilium_py.select.changes import Change

Row = tuple[Any, ...]


class Listed(NamedTuple):
    """A list of rows."""

    path: str
    """What is typed before the verb."""
    subject: Subject
    rows: Callable[[Settings], Iterable[Any]]
    """As they are now, or were."""
    key: tuple[str, ...]
    """The fields that tell rows apart."""
    text: Table[Any] | Line[Any]
    sample: str
    """Options that select some of the rows, for the help."""

    def by_key(self, where: Settings, wanted: Asked | None = None) -> Mapping[Hashable, Row]:
        """The rows, or those that are wanted."""
        key, rows = attrgetter(*self.key), self.rows(where)
        return {key(row): row for row in (rows if wanted is None else wanted.selection(where).of(rows))}


def add_verbs(group: click.Group, listed: Listed) -> None:
    """Give the group of a list the verbs."""
    group.add_command(count_command(listed))
    group.add_command(watch_command(listed))


def count_command(listed: Listed) -> click.Command:
    help = f"Count what is listed.\n\n\b\n{listed.path} count\n{listed.path} count {listed.sample}"

    @click.command("count", cls=SelectingCommand, subject=listed.subject, help=help)
    @settings
    def command(where: Settings) -> None:
        click.echo(sum(1 for _ in asked().selection(where).of(listed.rows(where))))

    return command


def watch_command(listed: Listed) -> click.Command:
    help = (
        "Show what comes (+), goes (-) and changes (*), with the values before. Ends with Ctrl-C.\n\n\b\n"
        f"{listed.path} watch\n{listed.path} watch --interval 200ms -o jsonl | jq -r .event"
    )

    @click.command("watch", cls=SelectingCommand, subject=listed.subject, help=help)
    @interval_option
    @format_option
    @settings
    def command(where: Settings, interval: float, rounds: int | None, output: str | None) -> None:
        show_changes(where, _changes(listed, where, interval, rounds), output, listed.text)

    return command


def _changes(listed: Listed, where: Settings, interval: float, rounds: int | None) -> Iterator[Change[Any]]:
    from cilium_py.select.changes import row_changes

    wanted, before = asked(), None
    for _ in looks(interval, None if rounds is None else rounds + 1):
        now = listed.by_key(where, wanted)
        # The first look is what later ones are compared with.
        yield from row_changes(now if before is None else before, now)
        before = now
