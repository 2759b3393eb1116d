"""`watch`: entries that come, go and change, as they do."""

from __future__ import annotations

import errno
import json
import math
import os
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cilium_py.cli.context import Settings, say, settings
from cilium_py.cli.parameters import time_option
from cilium_py.cli.select import SelectingCommand, asked, narrowed
from cilium_py.errors import MapMissing, WrongUsage
from cilium_py.schema import Line, Table
from cilium_py.schema.derived import Left, Since

if TYPE_CHECKING:
    from cilium_py.cli.verbs import Target, Words
    from cilium_py.select.changes import Change
    from cilium_py.table import OpenTable

SIGNS = {"new": "+", "gone": "-", "changed": "*"}
LEAST_INTERVAL = 0.05


def interval_option(function: Any) -> Any:
    """--interval and --rounds, passed as `interval` (seconds) and `rounds`."""
    function = click.option("--rounds", type=click.IntRange(1), metavar="N", help="end after looking N times")(function)
    return time_option("--interval", "1s", "time between two looks", least=LEAST_INTERVAL)(function)


def looks(interval: float, rounds: int | None) -> Iterator[None]:
    """One look after another at even intervals, until Ctrl-C; a late look delays the next ones.

    Raises BrokenPipeError as soon as nobody reads stdout any more, for there may be nothing to write for long.
    """
    done = 0
    due = time.monotonic()
    while rounds is None or done < rounds:
        yield
        done += 1
        due = max(due + interval, time.monotonic())
        if done != rounds:
            _rest(max(0.0, due - time.monotonic()))


def _rest(seconds: float) -> None:
    readers = select.poll()
    readers.register(sys.stdout, 0)
    if readers.poll(math.ceil(seconds * 1000)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Lasting:
    """The tables of a live view. Once they were there they may be gone for a while, as when an agent starts anew."""

    def __init__(self, target: Target, where: Settings, words: Words) -> None:
        self._target = target
        self._where = where
        self._words = words
        self._asked = asked()
        self._were_there = False
        self.missing = ""
        """Why the last look found none; empty if it did."""
        self._said = ""

    def __iter__(self) -> Iterator[OpenTable[Any]]:
        """The tables as they are now, each giving what is selected. Raises MapMissing if they were never there."""
        self.missing = ""
        try:
            selection = self._asked.selection(self._where)
            for table in narrowed(selection, self._target.opened(self._where, self._words)):
                self._were_there = True
                yield table
        except MapMissing as error:
            if not self._were_there:
                raise
            self.missing = error.message

    def remark(self) -> None:
        """Say that they are gone, once."""
        if self.missing and not self._said:
            say(f"note: {self.missing}; waiting for it")
        self._said = self.missing


def watch_command(target: Target) -> click.Command:
    from cilium_py.cli.verbs import table_words

    help = (
        "Show entries that come (+), go (-) and change (*).\n\n"
        "Counters and times that change with every packet are no change, unless with --every-change. "
        "Ends with Ctrl-C.\n\n\b\n"
        f"{target.path} watch {target.sample}\n{target.path} watch --interval 200ms -o jsonl | jq -r .event"
    )

    @click.command("watch", cls=SelectingCommand, subject=target.subject, help=help)
    @table_words(target)
    @interval_option
    @click.option("--every-change", is_flag=True, help="changes of counters and times too")
    @format_option
    @settings
    def command(
        where: Settings, interval: float, rounds: int | None, every_change: bool, output: str | None, table: Words = ()
    ) -> None:
        changes = _changes(target, where, table, interval, rounds, every_change)
        show_changes(where, changes, output, target.definition.text)

    return command


format_option = click.option("-o", "--output", metavar="FORMAT", help="text or jsonl [text at a terminal, else jsonl]")


def show_changes(
    where: Settings, changes: Iterable[Change[Any]], output: str | None, shape: Table[Any] | Line[Any]
) -> None:
    """Write changes as they come, until Ctrl-C."""
    if output not in (None, "text", "jsonl"):
        raise WrongUsage(f"-o {output}: a watch has no end", "text or jsonl")
    where.must_be_live()
    as_text = output == "text" or (output is None and sys.stdout.isatty())
    written = _text(shape) if as_text else _json
    try:
        for change in changes:
            print(written(change))
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _changes(
    target: Target, where: Settings, words: Words, interval: float, rounds: int | None, every_change: bool
) -> Iterator[Change[Any]]:
    from cilium_py.select.changes import COUNTERS, Watched

    has_times = any(isinstance(each, (Left, Since)) for each in target.definition.derived)
    watched: Watched[Any] = Watched(COUNTERS if has_times and not every_change else ())
    tables = Lasting(target, where, words)
    keep = target.definition.keep
    # The first look is what later ones are compared with.
    for _ in looks(interval, None if rounds is None else rounds + 1):
        yield from (change for change in watched.look(tables) if keep is None or keep(change.row))
        tables.remark()


def _json(change: Change[Any]) -> str:
    from cilium_py.render.values import as_object

    said: dict[str, Any] = {"time": now(), "event": change.event, **as_object(change.row)}
    if change.before:
        said["before"] = _plain(change)
    return json.dumps(said, ensure_ascii=False)


def _plain(change: Change[Any]) -> dict[str, Any]:
    """The values that changed fields had, as they are in JSON."""
    from cilium_py.render.values import as_object

    before = as_object(change.row._replace(**change.before))
    return {name: before[name] for name in change.before}


def _text(shape: Table[Any] | Line[Any]) -> Callable[[Change[Any]], str]:
    from cilium_py.select.selection import text_of

    def text(change: Change[Any]) -> str:
        line = shape.line(change.row) if isinstance(shape, Line) else "  ".join(shape.cells(change.row))
        was = "".join(f" {name} was {text_of(value)}" for name, value in _plain(change).items())
        return f"{now()[11:23]} {SIGNS[change.event]} {line.rstrip()}{' |' if was else ''}{was}"

    return text


def now() -> str:
    """The time of day here, with the offset of the zone, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
