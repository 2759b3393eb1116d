"""The options that select, sort and count, the same on every list, watch, top, count and delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cilium_py.cli.context import Settings, show, show_family
from cilium_py.cli.groups import Command
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.schema import Line, MapDef, Table

if TYPE_CHECKING:
    from cilium_py.node.runtime import Clock
    from cilium_py.render import Output
    from cilium_py.schema.form import Columns
    from cilium_py.select.fields import Fields
    from cilium_py.select.moment import Moment
    from cilium_py.select.selection import Selection
    from cilium_py.select.tree import Node
    from cilium_py.table import Family, OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
KEY, PLAIN = "cilium_py.select", "cilium_py.select.plain"
SECTION = "Selecting"
NEGATED = "such as --not --dport 443"


class Subject(NamedTuple):
    """What rows are selected from: their type, and what they are called in messages."""

    name: str
    row: type[tuple[Any, ...]]
    derived: tuple[Any, ...] = ()

    @classmethod
    def of(cls, definition: MapDef[Any]) -> Subject:
        return cls(" ".join(definition.command), definition.row, definition.derived)

    def fields(self) -> Fields:
        from cilium_py.select.fields import fields_of

        return fields_of(self.row, self.derived)


class Asked:
    """The options as they were given."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.given: list[tuple[str, str, bool]] = []
        """(option, value, whether negated)."""
        self.where: list[tuple[str, bool]] = []
        self.sort: tuple[str, ...] = ()
        self.limit: int | None = None
        self.columns: tuple[str, ...] = ()
        self.count = False
        self.stats = False

    def of(self, subject: Subject | None) -> Asked:
        """The same options about other rows."""
        other = copy(self)
        other.subject = subject or self.subject
        return other

    @property
    def selects(self) -> bool:
        return bool(self.given or self.where)

    @property
    def arranges(self) -> bool:
        return bool(self.sort or self.columns or self.stats or self.limit is not None)

    @property
    def is_given(self) -> bool:
        """Whether any option is: without one, nothing of this is needed."""
        return self.selects or self.arranges or self.count

    @property
    def fields(self) -> Fields:
        return self.subject.fields()

    def selection(self, settings: Settings) -> Selection[Any]:
        """Of the rows as they are now. Raises WrongUsage for what the rows have not."""
        from cilium_py.cli.names import NodeNames
        from cilium_py.select import expression, options, selection
        from cilium_py.select.tree import Not, all_of

        fields = self.fields
        parsed = [(expression.parse(text, fields), negated) for text, negated in self.where]
        chosen = options.selected(self.given, fields, NodeNames(settings), self.subject.name)
        return selection.Selection(
            fields,
            moment_of(settings),
            all_of(chosen, *(Not(node) if negated else node for node, negated in parsed)),
            selection.orders(self.sort, fields),
            self.limit,
            selection.columns(self.columns, fields),
        )


def moment_of(settings: Settings) -> Moment:
    from cilium_py.select.moment import Moment

    return Moment(lambda: AgentClock(settings))


class AgentClock:
    """The clock of the node's agent, or of the node that a recording is of."""

    def __init__(self, settings: Settings) -> None:
        from cilium_py.cli.agent import agent_clock

        self._settings = settings
        self._clock: Clock = agent_clock(settings)
        self.hertz = self._clock.hertz

    def seconds(self, ticks: int) -> int:
        return self._clock.seconds(ticks)

    def now(self) -> int:
        now = self._settings.now(self._clock)
        if now is None:
            raise CiliumPyError("the recording does not say when it was made", "compare the times as they are stored")
        return now


class SelectingCommand(Command):
    """A command with the options that select from a subject, and, if it `arranges`, those for what is shown of it.

    The options are made when one of them is used, for they cost time at every start.
    """

    def __init__(
        self, *args: Any, subject: Subject, arranges: bool = False, ignores_words: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ignores_words = ignores_words
        self.subject = subject
        self.arranges = arranges

    @cached_property
    def selecting(self) -> list[click.Option]:
        from cilium_py.cli.selectors import options_of

        return options_of(self.subject, self.arranges)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params, own = super().get_params(ctx), len(self.params)
        return params if ctx.meta.get(PLAIN) else [*params[:own], *self.selecting, *params[own:]]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[KEY] = Asked(self.subject)
        own = {name for param in self.params for name in param.opts}
        said = (arg.partition("=")[0] for arg in args if arg.startswith("--"))
        ctx.meta[PLAIN] = not ctx.resilient_parsing and own.issuperset(said)
        return super().parse_args(ctx, list(_negations(args)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        selecting = set(map(id, self.selecting))
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], SECTION: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections[SECTION if id(param) in selecting else "Options"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _negations(args: Sequence[str]) -> Iterator[str]:
    """`--not --port 53` as `--not-port 53`: the option after --not is turned into its opposite."""
    pending = False
    for arg in args:
        if pending:
            if not arg.startswith("--"):
                raise WrongUsage(f"--not stands before an option, not before {arg!r}", NEGATED)
            yield f"--not-{arg[2:]}"
            pending = False
        elif arg == "--not":
            pending = True
        else:
            yield arg
    if pending:
        raise WrongUsage("--not stands before the option that it negates", NEGATED)


def asked() -> Asked:
    """The selecting options of the command that runs."""
    found = click.get_current_context().meta[KEY]
    assert isinstance(found, Asked)
    return found


def narrowed(selection: Selection[Any], tables: Iterable[OpenTable[R]]) -> Iterator[OpenTable[R]]:
    """The tables, each giving only what is selected."""
    for table in tables:
        selection.narrow(table)
        yield table


def list_family(
    settings: Settings, output: Output, family: Family[R], tables: Iterable[OpenTable[R]] | None = None,
    columns: Columns | None = None, subject: Subject | None = None,
) -> None:  # fmt: skip
    """Write the rows of a family's maps that the options ask for. See context.show_family.

    `subject` is what the rows are, where a flag makes them others than those of the command.
    """
    wanted = asked().of(subject)
    if not wanted.is_given:
        show_family(output, family, tables, columns)
        return
    selection = wanted.selection(settings)
    found = narrowed(selection, family.tables() if tables is None else tables)
    if wanted.count and not wanted.stats:
        show_count(family.definition, found)
    elif not wanted.arranges:
        show_family(output, family, found, columns)
    else:
        if output.compat:
            raise WrongUsage("--sort, --limit, --columns and --stats are ours", "without --compat they work")
        _list_arranged(output, family, found, selection, stats=wanted.stats)


def _list_arranged(
    output: Output, family: Family[R], tables: Iterable[OpenTable[R]], selection: Selection[R], *, stats: bool
) -> None:
    definition = family.definition
    if stats:
        from cilium_py.select import statistics

        counts = statistics.counts_of_tables(tables, selection, definition.keep)
        show(output, counts, statistics.Count, statistics.TEXT)
        return
    if selection.columns and not selection.order and selection.limit is None:
        from cilium_py import bulk
        from cilium_py.select import projection

        declared = projection.declared(definition, selection.columns)
        if declared is not None and bulk.streams(output, declared):
            reduced = projection.reduced(tables, declared.row)
            show_family(output, replace(family, definition=declared), reduced)
            return
    if (selection.order and selection.limit is None) or len(selection.order) > 1:
        rows = unordered(definition, tables)
    elif selection.order:
        from cilium_py.select.first import first_rows

        rows = first_rows(selection, tables, definition.keep)
    else:
        rows = family.ordered(tables)
    show_arranged(output, rows, definition.row, definition.text, selection)


def no_options_in_compat(output: Output) -> None:
    """Refuse options for rows that cilium-dbg joins in its own way."""
    if output.compat and asked().is_given:
        raise WrongUsage("options that select are ours", "without --compat they work")


def list_rows(settings: Settings, output: Output, rows: Iterable[R], row: type[R], text: Table[R] | Line[R]) -> None:
    """Write the rows that the options ask for, of rows that are no map's alone."""
    list_joined(settings, output, lambda _: rows, row, text)


def list_joined(
    settings: Settings, output: Output, rows_of: Callable[[Node], Iterable[R]], row: type[R],
    text: Table[R] | Line[R], subject: Subject | None = None,
) -> None:  # fmt: skip
    """Like list_rows; the rows are made for a selection, and what it does not select may be missing.

    `subject` is what the rows are, where a flag makes them others than those of the command.
    """
    from cilium_py.select.tree import EVERYTHING

    wanted = asked().of(subject)
    if not wanted.is_given:
        show(output, rows_of(EVERYTHING), row, text)
        return
    selection = wanted.selection(settings)
    selected = selection.of(rows_of(selection.where))
    if wanted.count and not wanted.stats:
        click.echo(sum(1 for _ in selected))
    elif wanted.stats:
        from cilium_py.select import statistics

        show(output, statistics.counts_of_rows(selected, selection), statistics.Count, statistics.TEXT)
    else:
        show_arranged(output, selected, row, text, selection)


def show_count(definition: MapDef[R], tables: Iterable[OpenTable[R]]) -> None:
    """Print how many entries the tables give; of those that could be read, where not all can."""
    from cilium_py.render.stream import collected

    for count in collected((counted(definition, table) for table in tables), lambda read: [sum(read)]):
        click.echo(count)


def counted(definition: MapDef[R], table: OpenTable[R]) -> int:
    if definition.keep is None:
        return sum(batch.count for batch in table.batches())
    return sum(map(definition.keep, table.rows()))


def unordered(definition: MapDef[R], tables: Iterable[OpenTable[R]]) -> Iterator[R]:
    rows = (row for table in tables for row in table.rows())
    return filter(definition.keep, rows) if definition.keep else rows


def show_arranged(
    output: Output, rows: Iterable[R], row: type[R], text: Table[R] | Line[R], selection: Selection[R]
) -> None:
    """Write rows in the order, the number and the columns that were asked for."""
    from cilium_py.select import projection

    arranged = selection.arranged(rows)
    if not selection.columns:
        show(output, arranged, row, text)
        return
    shown = projection.row_of(row, selection.columns)
    cut = projection.cut(selection, shown)
    show(output, map(cut, arranged), shown, projection.table_of(shown, selection.columns))
