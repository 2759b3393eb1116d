"""`calls`: what the program arrays hold, of every one that is pinned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import click

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.program import Program
from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.groups import Group
from cilium_py.cli.pinned import pinned_maps
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, list_rows
from cilium_py.libbpf.constants import MapType
from cilium_py.maps.calls import MAP, Key, Row, Value

if TYPE_CHECKING:
    from cilium_py.snapshot.recording import Recording


@click.group(cls=Group)
def calls() -> None:
    """Tail calls and policy programs."""


@calls.command("list", cls=SelectingCommand, subject=Subject.of(MAP), arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List the programs in every pinned program array: tail calls by number, policy programs by endpoint id.

    \b
    cilium-py bpf calls list
    cilium-py bpf calls list --where 'map == cilium_call_policy'
    cilium-py bpf calls list -o json | jq '.[] | select(.map == "cilium_call_policy").slot'
    """
    list_rows(where, where.output(output), rows_of(where), Row, MAP.text)


def rows_of(where: Settings) -> Iterator[Row]:
    """The programs in every program array that is pinned, or was."""
    names = recorded_name(where.recording) if where.recording is not None else program_name
    return (
        row
        for pin, opened in pinned_maps(where.pins)
        if opened.info.type == MapType.PROG_ARRAY
        for row in programs_of(pin, opened, names)
    )


add_verbs(
    calls,
    Listed(
        "cilium-py bpf calls",
        Subject.of(MAP),
        rows_of,
        ("map", "slot"),
        MAP.text,
        "--where 'map == cilium_call_policy'",
    ),
)


def programs_of(pin: str, opened: BpfMap, names: Callable[[int], str]) -> Iterator[Row]:
    for key, value in opened.entries():
        program_id = Value.unpack(value).value
        yield Row(pin, Key.unpack(key).value, program_id, names(program_id))


def recorded_name(recording: Recording) -> Callable[[int], str]:
    survey = recording.survey()
    known = {facts.id: facts.name[:15] for facts in survey.programs} if survey is not None else {}
    return lambda program_id: known.get(program_id, "")


@cache
def program_name(program_id: int) -> str:
    """Fifteen letters at most; empty if the program went meanwhile."""
    try:
        with Program.from_id(program_id) as program:
            return program.info.name
    except FileNotFoundError:
        return ""
