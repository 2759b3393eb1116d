"""The verbs that every family has beside its list: count, watch, top, and delete of what is selected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, settings, yes_option
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, asked, narrowed, show_count
from cilium_py.errors import CiliumPyError, Partial, WrongUsage
from cilium_py.schema import MapDef
from cilium_py.table import Family, OpenTable, explained

if TYPE_CHECKING:
    from cilium_py.select.selection import Selection

Words = tuple[str, ...]


class Target(NamedTuple):
    """The tables that a group of commands is about."""

    definition: MapDef[Any]
    path: str
    """What is typed before the verb."""
    tables: Callable[[Settings, Words, bool], Iterator[OpenTable[Any]]]
    """(settings, the words that choose a table, read-only) -> the tables, open."""
    words: str = ""
    """How the words that choose a table are shown in help; empty if there are none."""

    @property
    def subject(self) -> Subject:
        return Subject.of(self.definition)

    @property
    def sample(self) -> str:
        """Options that select something of every such table, for the help."""
        fields: dict[str, Any] = self.definition.row.__annotations__
        for name, text in SAMPLES:
            if name in fields:
                return text
        number = next((name for name, kind in fields.items() if kind is int), None)
        return f"--where '{number} == 1'" if number else f"--where '{next(iter(fields))} in 10.0.0.0/8'"

    def opened(self, where: Settings, words: Words, *, read_only: bool = True) -> Iterator[OpenTable[Any]]:
        """The tables; what fails while they are read or changed is explained."""
        for table in self.tables(where, words, read_only):
            try:
                yield table
            except OSError as error:
                raise explained(error, table.path) from error


SAMPLES = (
    ("destination_port", "--dport 443"), ("port", "--port 443"), ("identity", "--identity world"),
    ("source", "--src 10.0.0.0/8"), ("address", "--addr 10.0.0.0/8"), ("prefix", "--addr 10.0.0.0/8"),
    ("rev_nat", "--service 7"), ("endpoint", "--endpoint 42"), ("code", "--where 'code >= 130'"),
)  # fmt: skip


def of_family(definition: MapDef[Any], path: str) -> Target:
    """Every table of a definition."""
    from cilium_py.cli.family import seen

    def tables(where: Settings, _words: Words, read_only: bool) -> Iterator[OpenTable[Any]]:
        family = Family(definition, where.pins)
        return family.tables(sources=seen(where, definition.sources), read_only=read_only)

    return Target(definition, path, tables)


def add_verbs(group: Group, target: Target, *, delete: bool = True) -> None:
    """Give a group the verbs, made when they are called; `delete` only where it has none and the kernel can."""
    group.makers |= {
        "count": lambda: count_command(target),
        "watch": lambda: _watch(target),
        "top": lambda: _top(target),
    }
    if delete and target.definition.can_delete:
        group.makers["delete"] = lambda: delete_command(target)


def _watch(target: Target) -> click.Command:
    from cilium_py.cli.watch import watch_command

    return watch_command(target)


def _top(target: Target) -> click.Command:
    from cilium_py.cli.top import top_command

    return top_command(target)


def table_words(target: Target) -> Callable[[Any], Any]:
    """The argument that chooses a table, passed as `table`."""
    if not target.words:
        return lambda function: function
    return click.argument("table", nargs=-1, metavar=target.words)


def count_command(target: Target) -> click.Command:
    help = f"Count entries.\n\n\b\n{target.path} count\n{target.path} count {target.sample}"

    @click.command("count", cls=SelectingCommand, subject=target.subject, help=help)
    @table_words(target)
    @settings
    def command(where: Settings, table: Words = ()) -> None:
        selection = asked().selection(where)
        show_count(target.definition, narrowed(selection, target.opened(where, table)))

    return command


def delete_command(target: Target) -> click.Command:
    help = (
        "Delete what is selected, and say how many that was.\n\n\b\n"
        f"{target.path} delete {target.sample} --dry-run\n{target.path} delete {target.sample} --yes"
    )

    @click.command("delete", cls=SelectingCommand, subject=target.subject, help=help)
    @table_words(target)
    @yes_option
    @settings
    def command(where: Settings, yes: bool, dry_run: bool, table: Words = ()) -> None:
        delete_selected(target, where, table, yes=yes, dry_run=dry_run)

    return command


def delete_selected(
    target: Target, where: Settings, words: Words, *, yes: bool, dry_run: bool,
    remove: Callable[[OpenTable[Any]], int] | None = None,
) -> None:  # fmt: skip
    """Delete what the options select, or with `dry_run` count it; `remove` deletes what a narrowed table gives."""
    from cilium_py.select.selection import delete

    wanted = asked()
    if not wanted.selects:
        raise WrongUsage("delete what?", f"say which, such as {target.sample}")
    selection = wanted.selection(where)
    if not dry_run and not yes:
        count = 0
        with suppress(Partial):  # said when all is done
            for table in _narrow(selection, target, where, words):
                count += sum(batch.count for batch in table.batches())
        confirm(f"Delete {count} entries?", yes or not count)
    for table in _narrow(selection, target, where, words, read_only=dry_run):
        if "array" in table.map.info.type_name:
            raise CiliumPyError(f"{table.path}: an array, whose elements cannot be deleted")
        count = sum(batch.count for batch in table.batches()) if dry_run else (remove or delete)(table)
        click.echo(f"{'Would delete' if dry_run else 'Deleted'} {count} entries from {table.path}")


def _narrow(
    selection: Selection[Any], target: Target, where: Settings, words: Words, *, read_only: bool = True
) -> Iterator[OpenTable[Any]]:
    return narrowed(selection, target.opened(where, words, read_only=read_only))
