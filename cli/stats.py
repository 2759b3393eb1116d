"""`bpf stats`: what the programs of a node cost."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from cilium_py.cli.context import Settings, output_option, say, settings, show
from cilium_py.cli.groups import Group
from cilium_py.cli.parameters import time_option
from cilium_py.cli.survey import live, survey_of
from cilium_py.explain.cost import SORTS, Cost, costs
from cilium_py.explain.known import Known
from cilium_py.schema import Table

LONGEST = 3600.0


@click.group(cls=Group)
def stats() -> None:
    """What programs cost."""


def runtime(nanoseconds: float) -> str:
    """912ns, 1.629us, 3.2ms or 1.5s."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.4g}{unit}"
    return f"{nanoseconds:g}ns"


def endpoint_text(row: Cost) -> str:
    """default/web-1 [3], or the id alone."""
    if row.endpoint is None:
        return "-"
    return f"{row.pod} [{row.endpoint}]" if row.pod else str(row.endpoint)


def cells(row: Cost) -> tuple[str, ...]:
    device = f"{row.device} {row.hook}" if row.device else "-"
    return (
        device, endpoint_text(row), row.program, row.type, str(row.runs),
        runtime(row.runtime_ns), runtime(row.average_ns),
    )  # fmt: skip


TEXT = Table(
    ("DEVICE", "POD/ENDPOINT", "BPF PROGRAM", "TYPE", "TOTAL RUNS", "TOTAL RUNTIME", "AVG RUNTIME"),
    cells,
    padded="none",
)


@stats.command("report")
@click.option("--sort", type=click.Choice([*SORTS]), default="total", show_default=True, help="the highest first")
@time_option("--interval", None, "count for so long, and only that; else since the programs were loaded", most=LONGEST)
@click.option("--device", metavar="NAME", help="of this interface alone")
@click.option("--endpoint", metavar="ID|POD", help="of this endpoint alone, by id or pod")
@click.option("--all", "every", is_flag=True, help="also what did not run")
@output_option
@settings
def report(
    where: Settings, sort: str, interval: float | None, device: str | None, endpoint: str | None, every: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Show how often each program ran, for how long, and how long on average: per program, device and endpoint.

    The kernel counts only while statistics are enabled: with --interval they are, for so long. What a program calls by
    tail call is counted as its own.

    \b
    cilium-py bpf stats report --interval 5s
    cilium-py bpf stats report --interval 1s --sort avg --endpoint 3
    cilium-py bpf stats report -o json | jq '.[] | select(.average_ns > 2000)'
    """
    form = where.output(output)
    with Known(where.pins, where.paths) as known:
        names = known.names
    if interval is None:
        found = costs(survey_of(where), None, names)
    else:
        where.must_be_live()
        found = measured(where, interval, names)
    found = [
        each
        for each in found
        if (every or each.runs) and device in (None, each.device) and endpoint in (None, str(each.endpoint), each.pod)
    ]
    if not found:
        say("note: no run was counted" + ("; --interval 5s counts for five seconds" if interval is None else ""))
    found.sort(key=lambda each: (-SORTS[sort](each), each.device, each.program, each.program_id))
    show(form, found, Cost, TEXT)


def measured(where: Settings, interval: float, names: Mapping[int, str]) -> list[Cost]:
    from cilium_py.bpf.stats import enable_stats
    from cilium_py.survey.take import programs_by_id

    survey = live(where)
    wanted = [each.id for each in survey.programs]
    with enable_stats():
        before = survey._replace(programs=list(programs_by_id(wanted).values()))
        time.sleep(interval)
        after = programs_by_id(wanted)
    return costs(before, after.values(), names)
