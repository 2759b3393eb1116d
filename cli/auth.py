"""`auth`: mutual authentication between identities."""

from __future__ import annotations

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, yes_option
from cilium_py.cli.family import group_of, writing
from cilium_py.maps.auth import MAP
from cilium_py.table import Family

auth = group_of(MAP)


@auth.command("flush")
@yes_option
@output_option
@settings
def flush(where: Settings, yes: bool, dry_run: bool, output: str | None) -> None:
    """Delete every entry: all pairs of identities have to authenticate again.

    \b
    cilium-py bpf auth flush --dry-run
    cilium-py bpf auth flush --yes
    """
    if not where.compat:
        where.output(output)  # taken, as cilium-dbg takes it, and checked; there is nothing to format
    if not dry_run:
        confirm("Delete every entry of mutual authentication?", yes)
    for table in writing(Family(MAP, where.pins), read_only=dry_run):
        count = sum(batch.count for batch in table.map.batches()) if dry_run else table.flush()
        verb = "Would flush" if dry_run else "Flushed"
        click.echo(f"{verb} {count} entries" + ("" if where.compat else f" from {table.path}"))
