"""`ct`: the connection tracking tables, of the node or of one cluster of a mesh."""

from __future__ import annotations

from typing import Any

import click

from cilium_py.cli.context import Settings, output_option, settings, show_family, yes_option
from cilium_py.cli.family import flush, layout_option
from cilium_py.errors import WrongUsage
from cilium_py.maps.ct import CLUSTER, MAP
from cilium_py.schema import Source
from cilium_py.schema.text import number
from cilium_py.table import Family


def scope_of(words: tuple[str, ...]) -> tuple[int | None, tuple[Source[Any], ...]]:
    """(cluster id, its sources) of the words `global` or `cluster ID`; no words mean global."""
    match words:
        case () | ("global",):
            return None, MAP.sources
        case ("cluster", identifier):
            return number(identifier, "a cluster id", 255, least=1), CLUSTER
    raise WrongUsage(f"{' '.join(words)!r}: not a table", "say global, or cluster and its id")


@click.group()
def ct() -> None:
    """Connection tracking tables."""


@ct.command("list")
@click.argument("table", nargs=-1, metavar="[global | cluster ID]")
@output_option
@layout_option(MAP)
@settings
def list_(where: Settings, table: tuple[str, ...], output: str | None, layout: str | None) -> None:
    """List connections: TCP, then all others, of IPv4, then of IPv6.

    \b
    cilium-py bpf ct list global | grep ICMP | head -n4
    cilium-py bpf ct list global -o jsonl | jq -r 'select(.destination_port == 443).source'
    """
    form = where.output(output)
    scope, sources = scope_of(table)
    family = Family(MAP, where.paths.globals, layout)
    show_family(form, family, family.tables(scope, sources))


@ct.command("flush")
@click.argument("table", nargs=-1, metavar="[global | cluster ID]")
@yes_option
@settings
def flush_(where: Settings, table: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Forget every connection, established ones too.

    \b
    cilium-py bpf ct flush global --dry-run
    cilium-py bpf ct flush global --yes
    """
    scope, sources = scope_of(table)
    flush(Family(MAP, where.paths.globals), yes=yes, dry_run=dry_run, scope=scope, sources=sources)
