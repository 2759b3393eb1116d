"""`nat`: the source NAT tables, of the node or of one cluster of a mesh, and what their port allocations cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cilium_py.cli.agent import agent_clock
from cilium_py.cli.connection import add_get, straight
from cilium_py.cli.context import Settings, confirm, output_option, settings, yes_option
from cilium_py.cli.family import flush, layout_option, seen
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, list_family
from cilium_py.cli.verbs import Target, add_verbs
from cilium_py.errors import WrongUsage
from cilium_py.maps import nat_retries
from cilium_py.maps.nat import CLUSTER, MAP, age
from cilium_py.schema import Source
from cilium_py.schema.form import Columns
from cilium_py.schema.text import number
from cilium_py.table import Family, OpenTable, explained

WORDS = "[global | cluster ID]"


def scope_of(words: tuple[str, ...]) -> tuple[int | None, tuple[Source[Any], ...]]:
    """(cluster id, its sources) of the words `global` or `cluster ID`; no words mean global."""
    match words:
        case () | ("global",):
            return None, MAP.sources
        case ("cluster", identifier):
            return number(identifier, "a cluster id", 255, least=1), CLUSTER
    raise WrongUsage(f"{' '.join(words)!r}: not a table", "say global, or cluster and its id")


@click.group(cls=Group)
def nat() -> None:
    """Source NAT tables."""


@nat.command("list", cls=SelectingCommand, subject=Subject.of(MAP), arranges=True)
@click.argument("table", nargs=-1, metavar=WORDS)
@output_option
@layout_option(MAP)
@settings
def list_(where: Settings, table: tuple[str, ...], output: str | None, layout: str | None) -> None:
    """List translations: of IPv4, then of IPv6.

    Ages are by the agent's clock; where it left no word of that, by CLOCK_MONOTONIC.

    \b
    cilium-py bpf nat list | grep ICMP | head -n4
    cilium-py bpf nat list -o jsonl | jq -r 'select(.age > 86400).source' | sort | uniq -c
    """
    form = where.output(output)
    if where.compat and table == ("global",):
        raise WrongUsage("'global': no word that cilium-dbg knows here", "leave it out")
    scope, sources = scope_of(table)
    family = Family(MAP, where.pins, layout)
    columns = None if form.compat and not form.is_text else ages(where)
    list_family(where, form, family, family.tables(scope, seen(where, sources)), columns)


def ages(where: Settings) -> Columns | None:
    """How old a translation is, by the agent's clock as it is now; None if nobody knows the time."""
    clock = agent_clock(where)
    now = where.now(clock)
    return None if now is None else age(now, clock.hertz)


def tables(where: Settings, words: tuple[str, ...], read_only: bool) -> Iterator[OpenTable[Any]]:
    scope, sources = scope_of(words)
    return Family(MAP, where.pins).tables(scope, seen(where, sources), read_only=read_only)


def table_of(family: int, _protocol: int) -> Source[Any]:
    return next(source for source in MAP.sources if source.family == family)


add_verbs(nat, Target(MAP, "cilium-py bpf nat", tables, WORDS))
add_get(nat, MAP, table_of, straight, ("OUT", "IN"), ages)


@nat.command("flush")
@click.argument("table", nargs=-1, metavar=WORDS)
@yes_option
@settings
def flush_(where: Settings, table: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Forget every translation. Connections that use one break.

    \b
    cilium-py bpf nat flush --dry-run
    cilium-py bpf nat flush --yes
    """
    scope, sources = scope_of(() if where.compat else table)
    family = Family(MAP, where.pins)
    flush(family, yes=yes, dry_run=dry_run, scope=scope, sources=seen(where, sources))


@nat.command("doctor")
@click.option(
    "--ports", default="32768-65535", show_default=True, metavar="FIRST-LAST",
    callback=lambda *given: port_range(*given), help="what the agent takes ports for translations from",
)  # fmt: skip
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    help="how many uses of ports to show",
)
@output_option
@settings
def doctor(where: Settings, output: str | None, ports: tuple[int, int], top: int) -> int:
    """Check that translations are whole, and how many ports are left.

    Each translation needs its counterpart for the answers, and a connection in conntrack. A port of an egress address
    can be used once for each remote address, port and protocol: the uses that are nearest to the end of the range are
    shown, and by whom. Exit 1 if a translation is broken.

    \b
    cilium-py bpf nat doctor
    cilium-py bpf nat doctor --ports 40000-65535 --top 3
    cilium-py bpf nat doctor -o json | jq '.ports[] | select(.pressure > 0.8)'
    """
    from cilium_py.cli.doctor import nat_doctor

    return nat_doctor(where, output, ports, top)


def port_range(*given: Any) -> tuple[int, int]:
    from cilium_py.cli.doctor import port_range as parse

    return parse(*given)


@nat.group(cls=Group)
def retries() -> None:
    """Histogram of the retries of port allocations."""


@retries.command("list", cls=SelectingCommand, subject=Subject.of(nat_retries.MAP), arranges=True)
@output_option
@layout_option(nat_retries.MAP)
@settings
@click.pass_context
def retries_list(ctx: click.Context, where: Settings, output: str | None, layout: str | None) -> None:
    """List how many connections needed how many tries to find a port: of IPv4, then of IPv6.

    \b
    cilium-py bpf nat retries list
    cilium-py bpf nat retries list -o json | jq 'map(select(.retries > 8).connections) | add'
    """
    if ctx.args:
        return  # in compat: cilium-dbg prints nothing if there are words too many
    family = Family(nat_retries.MAP, where.pins, layout)
    list_family(where, where.output(output), family, family.tables(sources=seen(where, nat_retries.MAP.sources)))


@retries.command("flush")
@yes_option
@settings
def retries_flush(where: Settings, yes: bool, dry_run: bool) -> None:
    """Set every counter to zero.

    \b
    cilium-py bpf nat retries flush --dry-run
    cilium-py bpf nat retries flush --yes
    """
    if not dry_run:
        confirm("Set every counter of port allocation retries to zero?", yes)
    for table in tables_to_clear(where, dry_run):
        try:
            count = table.map.info.max_entries if dry_run else clear(table)
        except OSError as error:
            raise explained(error, table.path) from error
        if not where.compat:
            click.echo(f"{'Would clear' if dry_run else 'Cleared'} {count} counters of {table.path}")


def tables_to_clear(where: Settings, read_only: bool) -> Iterator[OpenTable[Any]]:
    family = Family(nat_retries.MAP, where.pins)
    return family.tables(sources=seen(where, nat_retries.MAP.sources), read_only=read_only)


def clear(table: OpenTable[Any]) -> int:
    """Zero every element of an array, of each CPU; return how many there are."""
    keys = list(table.map.keys())
    for key in keys:
        table.map.update(key, bytes(table.map.value_room))
    return len(keys)
