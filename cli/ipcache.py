"""`ipcache`: which identity an address has; entries by prefix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.family import build, group_of, layout_option, writing
from cilium_py.cli.select import SelectingCommand, asked
from cilium_py.cli.verbs import delete_selected, of_family
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps.ipcache import (
    MAP,
    Row,
    compat_entry,
    identity_text,
    key_fields,
    prefix_of,
    prefix_text,
    value_fields,
)
from cilium_py.schema import Line
from cilium_py.schema.text import masked, number, parse_ip, parse_prefix, unmapped
from cilium_py.schema.text import prefix as prefix_said
from cilium_py.table import Family, OpenTable

ipcache = group_of(MAP)
TARGET = of_family(MAP, "cilium-py bpf ipcache")
CLUSTER_HELP = "id of the cluster that the prefix belongs to"


def cluster_option(command: Any) -> Any:
    return click.option(
        "--clusterid", "--cluster-id", "cluster_id", default="0", metavar="ID", help=CLUSTER_HELP,
        callback=lambda _ctx, _param, text: number(text, "a cluster id", 0xFFFF),
    )(command)  # fmt: skip


@ipcache.command("get")
@click.argument("address")
@output_option
@layout_option(MAP)
@cluster_option
@settings
def get(where: Settings, address: str, output: str | None, layout: str | None, cluster_id: int) -> None:
    """Show which identity an address has: the entry of its longest prefix.

    \b
    cilium-py bpf ipcache get 10.0.0.7
    cilium-py bpf ipcache get fd00::7 -o jsonpath='{[0].identity}'
    """
    packed = unmapped(parse_ip(address))
    family = Family(MAP, where.pins, layout)
    best = longest(family, packed, cluster_id)
    if where.compat:
        _warn_as_cilium_dbg(family)
    if best is None:
        raise CiliumPyError(f"{address}: no entry of the ipcache has it")
    form = where.output(output)
    show(form, [best], Row, Line(lambda row: f"{address} maps to identity {identity_text(row)}"))


def longest(family: Family[Row], packed: bytes, cluster_id: int) -> Row | None:
    """The row of the longest prefix that an address is in. A lookup would give the entry, but not its prefix."""
    best: Row | None = None
    longest_yet = -1
    wanted = {length: masked(packed, length) for length in range(len(packed) * 8 + 1)}
    for table in family.tables():
        for key, value in table.entries():
            network = prefix_of(key)
            if network is None or network[1] <= longest_yet or len(network[0]) != len(packed):
                continue
            if masked(*network) != wanted[network[1]]:
                continue
            row = table.layout.decode(key, value)
            if row.cluster_id == cluster_id:
                best, longest_yet = row, network[1]
    return best


def _warn_as_cilium_dbg(family: Family[Row]) -> None:
    """cilium-dbg logs to stdout each text of an entry that it has no CIDR for: in a cluster, or broken."""
    from datetime import UTC, datetime

    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs = (pair for table in family.tables() for pair in table.dump())
    odd = (compat_entry(pair)[0] for pair in pairs if pair.row.prefix is None or pair.row.cluster_id)
    for said in dict.fromkeys(odd):
        quoted = f'"{said}"' if " " in said else said
        click.echo(
            f'time={time} level=warn msg="unable to parse ipcache entry as a CIDR" subsys=cilium-dbg'
            f' error="invalid CIDR address: {said}" entry={quoted}'
        )


@ipcache.command("match")
@click.argument("prefix")
@output_option
@layout_option(MAP)
@cluster_option
@settings
def match(where: Settings, prefix: str, output: str | None, layout: str | None, cluster_id: int) -> None:
    """Show the entry of exactly this prefix.

    \b
    cilium-py bpf ipcache match 10.0.0.0/16
    """
    wanted = _prefix(prefix, where.compat)
    family = Family(MAP, where.pins, layout)
    found = None if where.compat else looked_up(family, wanted, cluster_id)
    if found is None:
        rows = (row for table in family.tables() for row in table.rows())
        found = [row for row in rows if row.cluster_id == cluster_id and _is(row, wanted, exact=where.compat)]
    if not found:
        raise CiliumPyError(f"{prefix_said(wanted)}: no entry of the ipcache has that prefix")
    show(where.output(output), found, Row, Line(lambda row: f'key {prefix_text(row)} has value "{identity_text(row)}"'))


def looked_up(family: Family[Row], network: tuple[bytes, int], cluster_id: int) -> list[Row] | None:
    """The entries of exactly this prefix, by lookups alone; None where they cannot tell.

    A lookup finds the longest prefix around what it is asked for. If one bit less finds something else, the entry is
    the one of this prefix; if it finds the same, that may be its value too. The third lookup sees to it that the
    entries were the same while they were compared.
    """
    found, length = [], network[1]
    for table in family.tables():
        key = build(table.layout.key, key_fields(network, cluster_id))
        around = build(table.layout.key, key_fields((network[0], length - 1), cluster_id)) if length else None
        value = table.map.lookup(key.pack())
        if value is None:
            continue
        outer = around and table.map.lookup(around.pack())
        if value == outer or value != table.map.lookup(key.pack()):
            return None
        found.append(table.layout.decode(key, table.layout.value.unpack(value)))
    return found


def _is(row: Row, wanted: tuple[bytes, int], *, exact: bool) -> bool:
    """Whether a row has a prefix; bits behind it matter to cilium-dbg alone."""
    if row.prefix is None or row.prefix[1] != wanted[1] or len(row.prefix[0]) != len(wanted[0]):
        return False
    return row.prefix[0] == wanted[0] if exact else masked(*row.prefix) == masked(*wanted)


def _prefix(text: str, compat: bool) -> tuple[bytes, int]:
    """A prefix as it is given. In compat one needs its length, and bits behind it are kept."""
    if not compat:
        return parse_prefix(text)
    address, slash, length = text.partition("/")
    packed = parse_ip(address)
    if not slash or (len(length) > 1 and length.startswith("0")):
        raise WrongUsage(f"{text!r} is not a prefix", "give one like 10.0.0.0/8")
    return packed, number(length, "a prefix length", len(packed) * 8)


def _prefix_to_change(text: str, compat: bool) -> tuple[bytes, int]:
    """cilium-dbg takes an IPv4-mapped prefix as IPv4, and every length over 32 as the whole address."""
    packed, length = _prefix(text, compat)
    if not compat:
        return packed, length
    packed = unmapped(packed)
    return packed, length if length <= 32 else len(packed) * 8


@ipcache.command("update")
@click.argument("prefix")
@click.option("--tunnelendpoint", "--tunnel-endpoint", "tunnel_endpoint", metavar="IP", help="node to tunnel to")
@click.option("--identity", default="0", metavar="ID", help="security identity [0]")
@click.option("--encryptkey", "--encrypt-key", "encrypt_key", default="0", metavar="N", help="IPsec key index [0]")
@click.option("--skiptunnel", "--skip-tunnel", "skip_tunnel", is_flag=True, help="reach it without the tunnel")
@cluster_option
@settings
def update(
    where: Settings, prefix: str, tunnel_endpoint: str | None, identity: str, encrypt_key: str, skip_tunnel: bool,
    cluster_id: int,
) -> None:  # fmt: skip
    """Create or replace the entry of a prefix.

    \b
    cilium-py bpf ipcache update 10.9.0.0/16 --identity 6 --tunnelendpoint 172.18.0.3
    """
    network = _prefix_to_change(prefix, where.compat)
    if where.compat and tunnel_endpoint is None:
        raise WrongUsage("--tunnelendpoint is missing")
    endpoint = unmapped(parse_ip(tunnel_endpoint)) if tunnel_endpoint is not None else None
    identity_number = number(identity, "an identity", 0xFFFFFFFF)
    key_number = number(encrypt_key, "a key index", 0xFF)
    for table in _writable(where):
        key = build(table.layout.key, key_fields(network, cluster_id))
        value = table.layout.value
        fields = value_fields(value, identity_number, key_number, endpoint, skip_tunnel)
        row = table.put(key, build(value, fields))
    click.echo(f"Updated entry {prefix_text(row)} => {identity_text(row)}")


@ipcache.command("delete", cls=SelectingCommand, subject=TARGET.subject)
@click.argument("prefix", required=False)
@cluster_option
@yes_option
@settings
def delete(where: Settings, prefix: str | None, cluster_id: int, yes: bool, dry_run: bool) -> None:
    """Delete the entry of a prefix, or what is selected.

    \b
    cilium-py bpf ipcache delete 10.9.0.0/16 --yes
    cilium-py bpf ipcache delete --where 'prefix in 10.9.0.0/16 and identity == 300' --dry-run
    """
    if asked().selects and prefix is None:
        delete_selected(TARGET, where, (), yes=yes, dry_run=dry_run)
        return
    if prefix is None or asked().selects:
        raise WrongUsage("which entries?", "give either a prefix or options that select")
    network = _prefix_to_change(prefix, where.compat)
    said = prefix_said(network) + (f"@{cluster_id}" if cluster_id else "")
    confirm(f"Delete {said} from the ipcache?", yes or dry_run)
    for table in _writable(where, read_only=dry_run):
        key = build(table.layout.key, key_fields(network, cluster_id))
        if dry_run:
            there = any(_is(row, network, exact=False) and row.cluster_id == cluster_id for row in table.rows())
        else:
            there = table.map.delete(key.pack())
        if not there:
            raise CiliumPyError(f"{table.path}: no entry for {said}")
        click.echo(f"{'Would delete' if dry_run else 'Deleted'} entry {said}")


def _writable(where: Settings, *, read_only: bool = False) -> Iterator[OpenTable[Row]]:
    """The ipcache, open to be changed."""
    return writing(Family(MAP, where.pins), read_only=read_only)
