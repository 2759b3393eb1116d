"""`doctor`: is each program where it should be, over the maps that are pinned; `nat doctor`: are translations whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.groups import Group
from cilium_py.cli.survey import survey_of
from cilium_py.errors import WrongUsage
from cilium_py.explain import attach, nat
from cilium_py.explain.attach import ERROR, Attached, Finding
from cilium_py.explain.known import Known, said
from cilium_py.explain.nat import Diagnosis, PortUse, Problem, TableHealth
from cilium_py.render import write_value
from cilium_py.render.tabular import lines
from cilium_py.schema.text import number

SHOWN = 20
"""Problems of a kind that the text names."""


@click.group(cls=Group)
def doctor() -> None:
    """Look for what is wrong with a node, and say what.

    \b
    cilium-py doctor attach
    cilium-py nat doctor
    """


@doctor.command("attach")
@output_option
@settings
def attach_(where: Settings, output: str | None) -> int:
    """Check that each program is attached where it should be, once, and over the maps that are pinned.

    Works on nodes of ours and of a real Cilium: programs by tcx, tc, netkit, XDP and cgroups. Exit 1 if there is an
    error.

    \b
    cilium-py doctor attach
    cilium-py doctor attach -o json | jq -r '.findings[] | select(.severity == "error").text'
    cilium-py --from node1.snap doctor attach
    """
    form = where.output(output)
    survey = survey_of(where)
    there, found = attach.attached(survey), attach.findings(survey)
    if form.is_text:
        for line in attach_lines(there, found):
            click.echo(line)
    else:
        write_value(sys.stdout.buffer, form, {"attachments": there, "findings": found})
    return 1 if any(each.severity == ERROR for each in found) else 0


ATTACH_TITLES = ("DEVICE", "HOOK", "HOW", "PROGRAM", "ID", "ENDPOINT", "LINK")


def attach_lines(there: list[Attached], found: list[Finding]) -> Iterator[str]:
    cells = (
        (
            each.device, each.hook, each.how, each.program or "-", str(each.program_id),
            "-" if each.endpoint is None else str(each.endpoint), each.pin.partition("/cilium/")[2] or each.pin or "-",
        )
        for each in there
    )  # fmt: skip
    yield from lines(ATTACH_TITLES, cells, "none")
    yield ""
    yield from (f"{each.severity}: {each.text}" for each in found)
    yield "nothing is wrong" if not found else f"{len(found)} findings"


def port_range(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not dash:
        raise WrongUsage(f"{text!r}: not a range of ports", "give one like 32768-65535")
    low = number(first, "the first port", 65535, least=1)
    return low, number(last, "the last port", 65535, least=low)


def nat_doctor(where: Settings, output: str | None, ports: tuple[int, int], top: int) -> int:
    """The command `nat doctor`, which is of the group `nat`."""
    form = where.output(output)
    with Known(where.pins, where.paths) as known:
        found = nat.diagnose(known, ports, top)
        if form.is_text:
            for line in nat_lines(found, known):
                click.echo(line)
        else:
            write_value(sys.stdout.buffer, form, found)
    return 1 if found.is_ill else 0


TABLE_TITLES = ("MAP", "USED", "MAX", "OUT", "IN", "PAIRED", "NO REVERSE", "ORPHANS", "MISMATCHED", "NO CT", "DSR")
PORT_TITLES = ("EGRESS", "REMOTE", "PROTO", "USED", "OF", "PRESSURE", "MOSTLY BY")
EXPLANATIONS = {
    nat.MISSING_REVERSE: "answers are not translated back: these connections are dead",
    nat.MISMATCH: "answers are translated to somebody else",
    nat.NO_CONNECTION: "conntrack has forgotten them: the agent's garbage collection removes such",
    nat.ORPHAN: "they answer nobody and take room",
}


def nat_lines(found: Diagnosis, known: Known) -> Iterator[str]:
    yield from lines(TABLE_TITLES, map(table_cells, found.tables), "none")
    yield ""
    yield from lines(PORT_TITLES, (port_cells(each, known) for each in found.ports), "none")
    if not found.ports:
        yield "no port of the range is in use"
    for kind, problems in nat.by_kind(found.problems):
        yield ""
        total = sum(counted(table, kind) for table in found.tables)
        yield f"{kind}: {total}; {EXPLANATIONS[kind]}"
        yield from (f"  {problem_line(each)}" for each in problems[:SHOWN])
        if total > SHOWN:
            yield f"  and {total - SHOWN} more"


def counted(table: TableHealth, kind: str) -> int:
    return {
        nat.MISSING_REVERSE: table.missing_reverse, nat.MISMATCH: table.mismatched, nat.ORPHAN: table.orphan_reverse,
        nat.NO_CONNECTION: table.without_connection or 0,
    }[kind]  # fmt: skip


def table_cells(row: TableHealth) -> tuple[str, ...]:
    _, entries, most, *counts = row
    return row.map, str(entries), str(most or "-"), *("-" if count is None else str(count) for count in counts)


def port_cells(row: PortUse, known: Known) -> tuple[str, ...]:
    by = ", ".join(f"{who(each.address, known)} {each.ports}" for each in row.sources)
    return (
        said(row.egress), said(row.remote, row.remote_port), row.protocol, str(row.used), str(row.available),
        f"{row.pressure:.1%}", by,
    )  # fmt: skip


def who(address: bytes, known: Known) -> str:
    """10.0.0.1 (container:app=web), as far as it is known."""
    identity = known.identity(address)
    labels = " ".join(known.labels.get(identity or 0, ()))
    return f"{said(address)} ({labels})" if labels else said(address)


def problem_line(row: Problem) -> str:
    arrow = "as" if row.direction == "OUT" else "back to"
    ends = f"{said(row.source, row.source_port)} -> {said(row.destination, row.destination_port)}"
    return f"{row.protocol} {row.direction} {ends} {arrow} {said(row.to, row.to_port)}"
