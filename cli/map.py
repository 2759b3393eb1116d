"""`map`: every pinned map, how full it is, how it is read, and whose it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from cilium_py.bpf.directory import pins_of
from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.program import Program, program_ids
from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.groups import Group
from cilium_py.cli.pinned import pinned_maps
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, list_rows
from cilium_py.errors import CiliumPyError
from cilium_py.families import source_of
from cilium_py.libbpf.constants import MapType
from cilium_py.schema import Source, Table
from cilium_py.table import choose

COUNTED = frozenset({
    MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.LPM_TRIE,
    MapType.HASH_OF_MAPS, MapType.ARRAY_OF_MAPS, MapType.PROG_ARRAY,
})  # fmt: skip
"""Types of which some places may be empty."""
ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})


class Row(NamedTuple):
    map: str
    id: int
    type: str
    key_size: int
    value_size: int
    used: int | None
    """None for a map that cannot be counted, such as a buffer of events."""
    max_entries: int
    pressure: float | None
    """Used in proportion to max_entries; None for a map that is always full."""
    layout: str
    """The release whose layout is read; empty for a map that is not known."""
    programs: list[str]


def cells(row: Row) -> tuple[str, ...]:
    used = "-" if row.used is None else str(row.used)
    pressure = "-" if row.pressure is None else f"{row.pressure:.1%}"
    sizes = f"{row.key_size}/{row.value_size}"
    most = str(row.max_entries)
    return row.map, row.type, sizes, used, most, pressure, row.layout or "-", ",".join(row.programs) or "-"


TEXT = Table(("MAP", "TYPE", "KEY/VALUE", "USED", "MAX", "PRESSURE", "LAYOUT", "PROGRAMS"), cells, padded="none")
SUBJECT = Subject("map", Row)


@click.group(cls=Group)
def map() -> None:  # the name of the command
    """Every pinned map."""


@map.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List every pinned map: how full it is, the layout it is read with, the programs that use it.

    \b
    cilium-py bpf map list
    cilium-py bpf map list --where 'pressure > 90% or programs has tail_handle_ipv4' --sort pressure:desc
    cilium-py bpf map list -o json | jq -r '.[] | select(.pressure > 0.9).map'
    """
    list_rows(where, where.output(output), rows_of(where), Row, TEXT)


@map.command("pressure", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@click.option(
    "--above", default=0.0, metavar="PERCENT", type=click.FloatRange(0, 100), help="only those at least so full"
)
@output_option
@settings
def pressure(where: Settings, above: float, output: str | None) -> None:
    """List the maps that can fill up, the fullest first.

    \b
    cilium-py bpf map pressure
    cilium-py bpf map pressure --above 80 -o json | jq -e '. == []'
    """
    rows = [row for row in rows_of(where) if row.pressure is not None and row.pressure * 100 >= above]
    rows.sort(key=lambda row: (-(row.pressure or 0), row.map))
    list_rows(where, where.output(output), rows, Row, TEXT)


def rows_of(where: Settings) -> Iterator[Row]:
    users = programs_by_map(where)
    return (
        row_of(pin, opened, source_of(pin), pins_of(where.pins).path(pin), users[opened.info.id])
        for pin, opened in pinned_maps(where.pins)
    )


add_verbs(map, Listed("cilium-py bpf map", SUBJECT, rows_of, ("map",), TEXT, "--where 'pressure > 90%'"))


def row_of(pin: str, opened: BpfMap, source: Source[Any] | None, path: Path, programs: list[str]) -> Row:
    info = opened.info
    used = used_places(opened)
    can_fill = used is not None and info.type not in ARRAYS and info.max_entries
    pressure = round((used or 0) / info.max_entries, 4) if can_fill else None
    release = ""
    if source is not None:
        try:
            release = choose(source, opened, path).release
        except CiliumPyError:
            release = "unknown"
    sizes = info.key_size, info.value_size
    return Row(pin, info.id, info.type_name, *sizes, used, info.max_entries, pressure, release, sorted(programs))


def used_places(opened: BpfMap) -> int | None:
    kind = opened.info.type
    if kind in ARRAYS:
        return opened.info.max_entries
    return sum(batch.count for batch in opened.batches()) if kind in COUNTED else None


def programs_by_map(where: Settings) -> defaultdict[int, list[str]]:
    """Map id -> names of the programs that use it; each name once."""
    users: defaultdict[int, list[str]] = defaultdict(list)
    if where.recording is not None:
        survey = where.recording.survey()
        for facts in survey.programs if survey is not None else ():
            for map_id in facts.map_ids:
                if facts.name[:15] not in users[map_id]:
                    users[map_id].append(facts.name[:15])
        return users
    for program_id in program_ids():
        try:
            with Program.from_id(program_id) as program:
                info = program.info
        except FileNotFoundError:
            continue
        for map_id in info.map_ids:
            if info.name not in users[map_id]:
                users[map_id].append(info.name)
    return users
