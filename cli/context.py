"""What every command shares: where the node is, how to print, and the options that say so."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cilium_py.errors import LayoutMismatch, MapMissing, WrongUsage
from cilium_py.paths import NodePaths

if TYPE_CHECKING:
    from cilium_py.bpf.directory import Pins
    from cilium_py.node.runtime import Clock
    from cilium_py.render import Output
    from cilium_py.schema import Line, Table
    from cilium_py.schema.form import Columns
    from cilium_py.snapshot.recording import Recording
    from cilium_py.table import Family, OpenTable

R = TypeVar("R", bound=tuple[Any, ...])
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Settings:
    """The root options, as `ctx.obj`."""

    paths: NodePaths = field(default_factory=NodePaths)
    compat: bool = False
    verbose: int = 0
    recording: Recording | None = None
    """What --from names, in the place of the live maps."""

    @property
    def pins(self) -> Path | Pins:
        """Where maps are opened: the node's pins, or a recording."""
        return self.recording or self.paths.globals

    def now(self, clock: Clock) -> int | None:
        """The present in seconds of a clock: of a recording, the moment that it was made, if it says so."""
        if self.recording is None:
            return clock.now()
        if clock.hertz:
            return clock.seconds_of_jiffies(self.recording.jiffies) if self.recording.jiffies is not None else None
        return self.recording.monotonic

    def must_be_live(self) -> None:
        """Refuse to look at this machine where a recording is meant."""
        if self.recording is not None:
            raise WrongUsage(f"--from {self.recording.origin}: not for this command, which needs a live node")

    def output(self, text: str | None) -> Output:
        from cilium_py.render import Output

        return Output.parse(text, self.compat)


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Pass the Settings as the first argument of a command, which is refused where it cannot have a recording."""

    def called(*args: Any, **kwargs: Any) -> Any:
        ctx = click.get_current_context()
        found = ctx.ensure_object(Settings)
        if found.recording is None:
            return ctx.invoke(command, found, *args, **kwargs)
        from cilium_py.cli.offline import reading

        with reading(ctx, found):
            return ctx.invoke(command, found, *args, **kwargs)

    return update_wrapper(called, command)


def node_paths(bpf_root: str | None, state_dir: str | None) -> NodePaths:
    """The paths that --bpf-root and --state-dir name; both must be absolute."""
    paths = NodePaths()
    for option, name, value in (
        ("--bpf-root", "bpf_root", bpf_root),
        ("--state-dir", "state_dir", state_dir),
    ):
        if value is None:
            continue
        if not value.startswith("/") or "\0" in value:
            raise WrongUsage(f"{option} {value!r}: not an absolute path")
        paths = replace(paths, **{name: Path(value)})
    return paths


def output_option_with(*more: str) -> Callable[[F], F]:
    """-o/--output, passed as `output`, of a command that has further formats."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        from cilium_py.render import FORMATS

        return [f for f in (*FORMATS[:-1], *more, "jsonpath=") if f.startswith(incomplete)]

    listed = ", ".join(("text (default)", *more, "table", "json", "jsonl", "yaml", "csv"))
    help = f"{listed} or jsonpath=TEMPLATE"
    return click.option("-o", "--output", metavar="FORMAT", shell_complete=complete, help=help)


def output_option(command: F) -> F:
    """-o/--output, passed as `output`."""
    return output_option_with()(command)


def yes_option(command: F) -> F:
    """--yes and --dry-run of a command that destroys, passed as `yes` and `dry_run`."""
    command = click.option("-y", "--yes", is_flag=True, help="do not ask")(command)
    return click.option("--dry-run", is_flag=True, help="say what would be done, and do nothing")(command)


def confirm(question: str, yes: bool) -> None:
    """Ask at a terminal. Without one, nobody can be asked: what was ordered is done."""
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(question, abort=True, err=True)


def show(output: Output, rows: Iterable[R], row: type[R], text: Table[R] | Line[R]) -> None:
    """Write rows to stdout and see that they arrived."""
    from cilium_py.render import write

    stream = sys.stdout.buffer
    try:
        write(stream, output, rows, row, text)
    finally:
        stream.flush()


def show_family(
    output: Output,
    family: Family[R],
    tables: Iterable[OpenTable[R]] | None = None,
    columns: Columns | None = None,
) -> None:
    """Write the rows of a family's maps: in our own schema, or in compat as cilium-dbg does.

    `columns` say what a row is to have beside what its map says.
    """
    definition = family.definition
    opened = family.tables() if tables is None else tables
    if columns:
        opened = _with_columns(opened, columns)
    from cilium_py import bulk

    if bulk.streams(output, definition):
        try:
            bulk.write(sys.stdout.buffer, output, definition, opened)
        finally:
            sys.stdout.buffer.flush()
        return
    if not output.compat:
        show(output, family.ordered(opened), definition.row, definition.text)
        return
    from cilium_py.render.compat import write as write_compat

    stream = sys.stdout.buffer
    try:
        write_compat(stream, output, definition, (table.dump() for table in opened))
    except (MapMissing, LayoutMismatch) as error:
        shape = definition.compat
        if shape and (shape.empty_without_map if isinstance(error, MapMissing) else shape.empty_if_of_other_size):
            write_compat(stream, output, definition, ())
        raise
    finally:
        stream.flush()


def _with_columns(tables: Iterable[OpenTable[R]], columns: Columns) -> Iterator[OpenTable[R]]:
    from cilium_py.schema.decoder import amended

    for table in tables:
        table.layout = amended(table.layout, columns)
        yield table


def say(message: str) -> None:
    """A remark for the person at the terminal, beside the output; lost where stderr is full or closed."""
    with contextlib.suppress(OSError):
        click.echo(message, err=True)
