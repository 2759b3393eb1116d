"""`ct`: the connection tracking tables, of the node or of one cluster of a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cilium_py.cli.agent import agent_clock, agent_options
from cilium_py.cli.connection import add_get, turned
from cilium_py.cli.context import Settings, confirm, output_option_with, settings, yes_option
from cilium_py.cli.family import layout_option, writing
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, list_family
from cilium_py.cli.verbs import Target, add_verbs, delete_selected
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps.ct import CLUSTER, MAP, remaining
from cilium_py.node.runtime import Clock, RuntimeConfig
from cilium_py.schema import Source
from cilium_py.schema.form import Columns
from cilium_py.schema.text import number
from cilium_py.table import Family, OpenTable

Sources = tuple[Source[Any], ...]
WORDS = "[global | cluster ID]"
TCP = 6


def scope_of(words: tuple[str, ...], config: RuntimeConfig) -> tuple[int | None, Sources]:
    """(cluster id, its sources) of the words `global` or `cluster ID`; no words mean global."""
    match words:
        case () | ("global",):
            scope, sources = None, MAP.sources
        case ("cluster", identifier):
            scope, sources = number(identifier, "a cluster id", 255, least=1), CLUSTER
        case _:
            raise WrongUsage(f"{' '.join(words)!r}: not a table", "say global, or cluster and its id")
    on = {4: config.ipv4, 6: config.ipv6}
    return scope, tuple(source for source in sources if on[source.family])


@click.group(cls=Group)
def ct() -> None:
    """Connection tracking tables."""


@ct.command("list", cls=SelectingCommand, subject=Subject.of(MAP), arranges=True)
@click.argument("table", nargs=-1, metavar=WORDS)
@output_option_with("wide")
@click.option("-d", "--time-diff", is_flag=True, help="show how many seconds are left of each entry")
@click.option("--time-diff-clocksource-mode", "clock_mode", metavar="MODE", help="ktime or jiffies [the agent's]")
@click.option("--time-diff-clocksource-hz", "hertz", metavar="N", default="250", help="jiffies a second [250]")
@layout_option(MAP)
@settings
def list_(
    where: Settings, table: tuple[str, ...], output: str | None, time_diff: bool, clock_mode: str | None, hertz: str,
    layout: str | None,
) -> None:  # fmt: skip
    """List connections: TCP, then all others, of IPv4, then of IPv6.

    With -o wide each connection is shown once, with its service, translation, state, identities and endpoints, and
    the options that select ask about these: what `flow list` shows, which has it in every format.

    \b
    cilium-py bpf ct list global | grep ICMP | head -n4
    cilium-py bpf ct list global --time-diff
    cilium-py bpf ct list global -o wide --src 10.0.0.0/8 --state SYN-SENT
    cilium-py bpf ct list global -o jsonl | jq -r 'select(.destination_port == 443).source'
    """
    is_wide = output == "wide" and not where.compat
    form = where.output(None if is_wide else output)
    if where.compat:
        table = table[:1] if table[:1] == ("global",) else table or ("",)
    scope, sources = scope_of(table, agent_options(where))
    family = Family(MAP, where.pins, layout)
    if is_wide:
        from cilium_py.cli.wide import list_flows, present_of

        present = present_of(where, chosen_clock(where, clock_mode, hertz))
        list_flows(where, form, family.tables(scope, sources) if sources else (), scope, present)
        return
    columns = time_left(where, chosen_clock(where, clock_mode, hertz)) if time_diff else None
    list_family(where, form, family, family.tables(scope, sources) if sources else [], columns)


def chosen_clock(where: Settings, mode: str | None, hertz: str) -> Clock:
    """The clock that the options name, or else the agent's."""
    rate = number(hertz, "a number of jiffies a second", (1 << 63) - 1, least=int(mode == "jiffies"))
    if not mode:
        return agent_clock(where)
    if mode not in ("ktime", "jiffies"):
        raise WrongUsage(f"{mode!r} is no clock", "ktime or jiffies")
    return Clock(rate if mode == "jiffies" else 0)


def time_left(where: Settings, clock: Clock) -> Columns:
    """How many seconds a connection has left, by the clock as it is now."""
    now = where.now(clock)
    if now is None:
        raise CiliumPyError("the dump does not say when it was made", "without --time-diff, expiry is shown as it is")
    return remaining(now, clock.hertz)


def tables(where: Settings, words: tuple[str, ...], read_only: bool) -> Iterator[OpenTable[Any]]:
    scope, sources = scope_of(words, agent_options(where))
    return Family(MAP, where.pins).tables(scope, sources, read_only=read_only) if sources else iter(())


def table_of(family: int, protocol: int) -> Source[Any]:
    """TCP has tables of its own."""
    return next(each for each in MAP.sources if each.family == family and ("any" in each.pin) == (protocol != TCP))


TARGET = Target(MAP, "cilium-py bpf ct", tables, WORDS)
add_verbs(ct, TARGET, delete=False)
add_get(ct, MAP, table_of, turned, ("OUT", "IN", "SVC"))


@ct.command("delete", cls=SelectingCommand, subject=TARGET.subject)
@click.argument("table", nargs=-1, metavar=WORDS)
@click.option("--with-nat", is_flag=True, help="the NAT mappings of these connections too")
@yes_option
@settings
def delete(where: Settings, table: tuple[str, ...], with_nat: bool, yes: bool, dry_run: bool) -> None:
    """Forget the connections that are selected, and say how many that were.

    \b
    cilium-py bpf ct delete --dst 10.0.1.7 --dport 443 --dry-run
    cilium-py bpf ct delete --backend 10.0.1.7:8080 --with-nat --yes
    """
    from cilium_py.node import conntrack

    scope, _ = scope_of(table, agent_options(where))
    remove = (lambda opened: conntrack.forget(opened, scope)) if with_nat else None
    delete_selected(TARGET, where, table, yes=yes, dry_run=dry_run, remove=remove)


@ct.command("flush")
@click.argument("table", nargs=-1, metavar=WORDS)
@yes_option
@settings
def flush(where: Settings, table: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Forget every connection, established ones too, and the NAT mappings that belong to them.

    \b
    cilium-py bpf ct flush global --dry-run
    cilium-py bpf ct flush global --yes
    """
    from cilium_py.node import conntrack

    scope, sources = scope_of(("global",) if where.compat else table, agent_options(where))
    family = Family(MAP, where.pins)
    if not dry_run:
        confirm(f"Forget every connection of {', '.join(s.pin_of(scope) for s in sources)}?", yes)
    for opened in writing(family, scope, sources, read_only=dry_run) if sources else ():
        if dry_run:
            count = sum(batch.count for batch in opened.map.batches())
        else:
            count = conntrack.forget(opened, scope, keep_static=where.compat)
        click.echo(f"{'Would flush' if dry_run else 'Flushed'} {count} entries from {opened.path}")
