"""`multicast`: groups and their subscribers, in a map of maps."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from cilium_py.bpf.map import BpfMap
from cilium_py.cli.context import Settings, confirm, output_option, settings, yes_option
from cilium_py.cli.family import build, list_command
from cilium_py.cli.groups import Group, StrictCommand
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows, no_options_in_compat
from cilium_py.errors import CiliumPyError
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, BPF_NOEXIST, MapType
from cilium_py.maps.multicast import (
    MAP,
    REMOTE,
    SUBSCRIBER_TITLES,
    Key,
    Row,
    Value,
    compat_group,
    kind_of,
    parse_group,
    parse_subscriber,
    subscriber_lines,
)
from cilium_py.render import Output
from cilium_py.schema import Address, Table
from cilium_py.schema.golang import Nil
from cilium_py.schema.text import ip
from cilium_py.table import OpenTable, explained, open_source

TUNNEL_DEVICE = "cilium_vxlan"
MAX_SUBSCRIBERS = 1024


class SubscriberRow(NamedTuple):
    group: Address
    subscriber: Address
    ifindex: int
    remote: bool


SUBSCRIBERS = Table[SubscriberRow](
    ("Group", "Subscriber", "Type"),
    lambda row: (ip(row.group), ip(row.subscriber), kind_of(remote=row.remote)),
    padded="none",
)
SUBSCRIBER = Subject("multicast subscriber", SubscriberRow)


@click.group(cls=Group, aliases={"sub": "subscriber"})
def multicast() -> None:
    """Multicast groups and their subscribers."""


@multicast.group(cls=Group, aliases={"del": "delete"})
def group() -> None:
    """Multicast groups."""


@multicast.group(cls=Group, aliases={"del": "delete"})
def subscriber() -> None:
    """Subscribers of multicast groups."""


group.add_command(list_command(MAP, "cilium-py bpf multicast group"))


def group_argument(command: click.decorators.FC) -> click.decorators.FC:
    return click.argument("group_address", metavar="GROUP", callback=lambda _c, _p, text: parse_group(text))(command)


def subscriber_argument(command: click.decorators.FC) -> click.decorators.FC:
    return click.argument("address", metavar="ADDRESS", callback=lambda _c, _p, text: parse_subscriber(text))(command)


@group.command("add", cls=StrictCommand)
@group_argument
@settings
def group_add(where: Settings, group_address: bytes) -> None:
    """Add a group that nobody has joined yet.

    \b
    cilium-py bpf multicast group add 229.0.0.1
    """
    with groups(where, write=True) as table, new_inner() as inner:
        try:
            table.map.update(Key(value=group_address).pack(), inner.fd.to_bytes(4, sys.byteorder), BPF_NOEXIST)
        except FileExistsError:
            raise CiliumPyError(f"{table.path}: group {ip(group_address)} is there already") from None


@group.command("delete", cls=StrictCommand)
@group_argument
@yes_option
@settings
def group_delete(where: Settings, group_address: bytes, yes: bool, dry_run: bool) -> None:
    """Delete a group, its subscribers included.

    \b
    cilium-py bpf multicast group delete 229.0.0.1 --dry-run
    cilium-py bpf multicast group delete 229.0.0.1 --yes
    """
    with groups(where, write=not dry_run) as table:
        key = Key(value=group_address)
        row = table.get(key)
        if row is None:
            raise no_group(table, group_address)
        said = f"group {ip(group_address)} with {len(row.subscribers)} subscribers"
        if dry_run:
            click.echo(f"Would delete {said} from {table.path}")
            return
        confirm(f"Delete {said} from {table.path}?", yes)
        table.map.delete(key.pack())


@subscriber.command("list", cls=SelectingCommand, subject=SUBSCRIBER, arranges=True)
@click.argument("wanted", metavar="[GROUP|all]", default="all")
@output_option
@settings
def subscriber_list(where: Settings, wanted: str, output: str | None) -> None:
    """List the subscribers of a group, or of all.

    \b
    cilium-py bpf multicast subscriber list all
    cilium-py bpf multicast subscriber list --addr 10.0.0.0/8 --where remote
    cilium-py bpf multicast subscriber list 229.0.0.1 -o json | jq -r '.[].subscriber'
    """
    form = where.output(output)
    if wanted == "all":
        with groups(where) as table:
            rows = list(table.rows())
    else:
        rows = [one_group(where, parse_group(wanted))]
    if form.is_text and not asked().is_given:
        click.echo(SUBSCRIBER_TITLES)
        for row in sorted(rows):
            click.echo("\n".join(subscriber_lines(row)))
    elif form.compat:
        no_options_in_compat(form)
        show_as_cilium_dbg(form, rows)
    else:
        list_rows(where, form, flat(rows), SubscriberRow, SUBSCRIBERS)


def flat(rows: Iterable[Row]) -> Iterator[SubscriberRow]:
    return (SubscriberRow(row.group, *each) for row in sorted(rows) for each in row.subscribers)


def all_subscribers(where: Settings) -> list[SubscriberRow]:
    with groups(where) as table:
        return list(flat(table.rows()))


JOINED = Listed(
    "cilium-py bpf multicast subscriber",
    SUBSCRIBER,
    all_subscribers,
    ("group", "subscriber"),
    SUBSCRIBERS,
    "--where remote",
)
add_verbs(subscriber, JOINED)


def one_group(where: Settings, group_address: bytes) -> Row:
    with groups(where) as table:
        row = table.get(Key(value=group_address))
        if row is None:
            raise no_group(table, group_address)
        return row


def show_as_cilium_dbg(form: Output, rows: list[Row]) -> None:
    from cilium_py.render.compat import write_document

    document = [compat_group(row) for row in rows]
    write_document(sys.stdout.buffer, form, document or Nil())


@subscriber.command("add", cls=StrictCommand)
@group_argument
@subscriber_argument
@settings
def subscriber_add(where: Settings, group_address: bytes, address: bytes) -> None:
    """Let a group's packets go to another node, through the tunnel device.

    \b
    cilium-py bpf multicast subscriber add 229.0.0.1 10.100.0.2
    """
    with subscribers(where, group_address) as inner:
        try:
            ifindex = socket.if_nametoindex(TUNNEL_DEVICE)
        except OSError as error:
            raise CiliumPyError(
                f"{TUNNEL_DEVICE}: {error.strerror or 'no such device'}", "packets go through it"
            ) from None
        value = build(Value, {"saddr": address, "ifindex": ifindex, "flags": REMOTE})
        try:
            inner.update(Key(value=address).pack(), value.pack(), BPF_NOEXIST)
        except FileExistsError:
            raise CiliumPyError(f"{ip(address)} has joined group {ip(group_address)} already") from None


@subscriber.command("delete", cls=StrictCommand)
@group_argument
@subscriber_argument
@settings
def subscriber_delete(where: Settings, group_address: bytes, address: bytes) -> None:
    """Take a subscriber out of a group.

    \b
    cilium-py bpf multicast subscriber delete 229.0.0.1 10.100.0.2
    """
    with subscribers(where, group_address) as inner:
        if not inner.delete(Key(value=address).pack()):
            raise CiliumPyError(f"{ip(address)} has not joined group {ip(group_address)}")


@contextmanager
def groups(where: Settings, *, write: bool = False) -> Iterator[OpenTable[Row]]:
    """The outer map, open; what fails meanwhile is explained."""
    with open_source(MAP.sources[0], where.pins, read_only=not write) as table:
        try:
            yield table
        except OSError as error:
            raise explained(error, table.path) from error


@contextmanager
def subscribers(where: Settings, group_address: bytes) -> Iterator[BpfMap]:
    """The inner map of a group, open to be changed."""
    with groups(where) as table:
        inner = table.map.inner(Key(value=group_address).pack(), read_only=False)
        if inner is None:
            raise no_group(table, group_address)
        with inner:
            yield inner


def no_group(table: OpenTable[Row], group_address: bytes) -> CiliumPyError:
    return CiliumPyError(f"{table.path}: no group {ip(group_address)}", "multicast group list shows which there are")


def new_inner() -> BpfMap:
    """A map of subscribers as the agent makes it."""
    return BpfMap.create(
        name="cilium_mcast_subscriber_v4_inner",
        type=MapType.HASH,
        key_size=Key.size,
        value_size=Value.size,
        max_entries=MAX_SUBSCRIBERS,
        flags=BPF_F_NO_PREALLOC,
    )
