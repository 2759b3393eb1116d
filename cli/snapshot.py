"""`snapshot`: a node saved to one file, read, and compared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cilium_py.bpf.directory import pins_of
from cilium_py.cli.context import Settings, output_option, say, settings, show
from cilium_py.cli.groups import Group
from cilium_py.cli.offline import with_state
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows
from cilium_py.cli.streams import printable
from cilium_py.errors import Partial, WrongUsage
from cilium_py.libbpf.constants import MapType
from cilium_py.schema import Line, Table
from cilium_py.snapshot.diff import Change
from cilium_py.snapshot.open import recording
from cilium_py.snapshot.recording import Recording
from cilium_py.snapshot.saved import Snapshot
from cilium_py.table import explained

if TYPE_CHECKING:
    from cilium_py.snapshot.diff import Count

F = TypeVar("F", bound=Callable[..., Any])


class Row(NamedTuple):
    """A recorded map."""

    map: str
    id: int
    type: str
    key_size: int
    value_size: int
    entries: int | None
    """None for a map of a type that has none to read."""
    max_entries: int
    complete: bool
    """Whether every entry was read; if not, the map changed too fast."""


def cells(row: Row) -> tuple[str, ...]:
    entries = "-" if row.entries is None else f"{row.entries}{'' if row.complete else ' (incomplete)'}"
    return printable(row.map), row.type, f"{row.key_size}/{row.value_size}", entries, str(row.max_entries or "-")


TEXT = Table(("MAP", "TYPE", "KEY/VALUE", "ENTRIES", "MAX"), cells, padded="none")


def file_argument(name: str, *, required: bool = True) -> Callable[[F], F]:
    return click.argument(name, required=required, type=click.Path(path_type=Path))


@click.group(cls=Group)
def snapshot() -> None:
    """Save a node to one file, to read and compare it anywhere.

    \b
    cilium-py snapshot save before.snap
    cilium-py --from before.snap ct list
    """


@snapshot.command("save")
@file_argument("file")
@click.option("--force", is_flag=True, help="replace a file that is there")
@settings
def save_(where: Settings, file: Path, force: bool) -> None:
    """Save every pinned map with its BTF, the programs and where they are attached, and the node's configuration.

    The file is compressed and only its owner may read it: it says who talks to whom.

    \b
    cilium-py snapshot save node1.snap
    cilium-py snapshot save --force node1.snap
    """
    from cilium_py.cli.survey import live, shared_state, tick_count
    from cilium_py.offline import answers
    from cilium_py.snapshot.save import save

    where.must_be_live()
    unanswered: list[str] = []
    told = answers.ask(where.paths, unanswered)
    made = save(file, where.paths, live(where), shared_state(where) | told, tick_count(), replace=force)
    entries = sum(shape.entries or 0 for shape in made.maps)
    size = file.stat().st_size
    click.echo(f"Saved {len(made.maps)} maps with {entries} entries to {file} ({size / 1024:.0f} KiB)")
    for text in (*made.survey.unseen, *unanswered):
        say(f"note: not seen: {text}")
    torn = [shape.pin for shape in made.maps if not shape.complete]
    if torn:
        raise Partial(f"{', '.join(torn)}: changed while being read, entries may be missing", "save once more")


@snapshot.command("list", cls=SelectingCommand, subject=Subject("snapshot", Row), arranges=True)
@file_argument("file")
@output_option
@settings
def list_(where: Settings, file: Path, output: str | None) -> None:
    """List the maps in a snapshot, in a directory of bpftool's dumps, or in an archive of cilium-bugtool.

    \b
    cilium-py snapshot list before.snap
    cilium-py snapshot list before.snap --where 'entries > 0' --sort entries:desc
    cilium-py snapshot list cilium-sysdump.zip -o json
    """
    form = where.output(output)
    with recording(file) as opened:
        rows = [row_of(opened, name) for name in opened.names()]
        if isinstance(opened, Snapshot):
            about = opened.manifest.about
            say(f"taken {about.taken} on {about.host}, Linux {about.kernel}, of {about.bpf_root}")
    list_rows(where, form, rows, Row, TEXT)


def row_of(opened: Recording, name: str) -> Row:
    if isinstance(opened, Snapshot):
        shape = opened.shape(name)
        info, entries, complete = shape.info, shape.entries, shape.complete
    else:
        found = opened.recorded(name)
        info, entries, complete = found.info, sum(some.count for some in found.batches()), True
    return Row(name, info.id, type_name(info.type), info.key_size, info.value_size, entries, info.max_entries, complete)


def type_name(number: int) -> str:
    return MapType(number).name.lower() if number in set(MapType) else f"type {number}"


KINDS = ("added", "removed", "changed")
SIGNS = {"added": "+", "removed": "-", "changed": "~", "map added": "+", "map removed": "-", "reshaped": "~"}


def change_line(change: Change) -> str:
    """One line, with what changed of an entry behind it."""
    said = f": {change.entry}" if change.entry else f" ({change.change})"
    moved = "".join(
        f", {name} {change.before[name]} -> {change.after[name]}"
        for name in change.fields
        if isinstance(change.before, dict) and isinstance(change.after, dict)
    )
    return f"{SIGNS[change.change]} {printable(change.map)}{said}{f' ({moved[2:]})' if moved else ''}"


def count_cells(row: Count) -> tuple[str, ...]:
    first, second = ("-" if side is None else str(side) for side in (row.before, row.after))
    return printable(row.map), first, second, str(row.added), str(row.removed), str(row.changed)


COUNTS = Table(("MAP", "BEFORE", "AFTER", "ADDED", "REMOVED", "CHANGED"), count_cells, padded="none")


@snapshot.command("diff", cls=SelectingCommand, subject=Subject("snapshot diff", Change))
@file_argument("before")
@file_argument("after", required=False)
@click.option("--map", "maps", multiple=True, metavar="PIN", help="of this map alone; repeat")
@click.option("--only", type=click.Choice(KINDS), multiple=True, help="these differences alone; repeat")
@click.option("--count", is_flag=True, help="how many of each map, and not which")
@output_option
@settings
def diff_(
    where: Settings, before: Path, after: Path | None, maps: tuple[str, ...], only: tuple[str, ...], count: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Show which entries came (+), went (-) and changed (~) from one recording to another, or to the node as it is.

    Of a changed entry, each field that is not the same is shown as it was and as it is. After the maps follow
    endpoints, identities, nodes and rules, where both sides have them.

    \b
    cilium-py snapshot diff before.snap after.snap
    cilium-py snapshot diff before.snap --map cilium_ct4_global --only removed
    cilium-py snapshot diff before.snap --where 'entry ~ 10.0.0.7 or fields has identity'
    cilium-py snapshot diff before.snap --count
    """
    from cilium_py.cli import snapshot_state
    from cilium_py.snapshot import diff

    form = where.output(output)
    with ExitStack() as stack:
        old = stack.enter_context(recording(before))
        new = stack.enter_context(recording(after)) if after is not None else pins_of(where.pins)
        try:
            known = {*old.names(), *new.names()}
        except OSError as error:
            raise explained(error, new.path("")) from error
        unknown = sorted(set(maps) - known)
        if unknown:
            raise WrongUsage(f"{unknown[0]}: no such map on either side", "cilium-py snapshot list shows what there is")
        first = with_state(old)
        second = with_state(new) if isinstance(new, Recording) else where
        lists = [] if maps else list(snapshot_state.sides(first, second))
        if count:
            if asked().is_given:
                raise WrongUsage("--count is of whole maps", "--map and --only narrow it")
            counts = chain(diff.counts(old, new, maps), map(snapshot_state.count, lists))
            show(form, counts, diff.Count, COUNTS)
            return
        changes = chain(diff.changes(old, new, maps), *map(snapshot_state.changes, lists))
        found = (change for change in changes if not only or change.change in only)
        list_rows(where, form, found, Change, Line(change_line))
