"""`lb`: services joined with their backends, and each map of load balancing on its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, Self

import click

from cilium_py.cli.context import Settings, output_option, settings, show, show_family
from cilium_py.cli.family import group_of, layout_option
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, list_family, list_rows, no_options_in_compat
from cilium_py.errors import CiliumPyError, MapMissing, Partial
from cilium_py.maps import (
    lb_active,
    lb_affinity,
    lb_backends,
    lb_failed,
    lb_health,
    lb_maglev,
    lb_match,
    lb_ranges,
    lb_revnat,
    lb_services,
    lb_skip,
)
from cilium_py.schema import Address, GoTable, MapDef, Pair, Table
from cilium_py.schema.text import bracketed, go_ip, number
from cilium_py.table import Family, OpenTable

RECENT = 4096
"""Backends that are remembered, for the slots that share them."""


class Row(NamedTuple):
    """A slot of a frontend and the backend in it."""

    address: Address
    port: int
    protocol: str
    internal: bool
    slot: int
    rev_nat: int
    flag_names: list[str]
    proxy_port: int
    backend_id: int
    backend: str
    """Address and port; empty in slot 0, and where no backend has the id."""
    backend_protocol: str
    backend_state: str
    """`missing` where no backend has the id."""


@click.group(cls=Group)
def lb() -> None:
    """Load balancing: services, backends and what belongs to them."""


for definition in (
    lb_services.MAP,
    lb_backends.MAP,
    lb_revnat.MAP,
    lb_ranges.MAP,
    lb_affinity.MAP,
    lb_match.MAP,
    lb_skip.MAP,
    lb_active.MAP,
    lb_failed.MAP,
    lb_health.MAP,
):
    lb.add_command(group_of(definition))
maglev = group_of(lb_maglev.MAP)
lb.add_command(maglev)


@lb.command("list", cls=SelectingCommand, subject=Subject("lb", Row), arranges=True)
@click.option("--revnat", is_flag=True, help="list the reverse NAT entries (lb revnat list)")
@click.option("--frontends", is_flag=True, help="list the services without their backends (lb services list)")
@click.option("--backends", is_flag=True, help="list the backends (lb backends list)")
@click.option("--source-ranges", is_flag=True, help="list the source ranges (lb source-ranges list)")
@output_option
@layout_option(lb_services.MAP)
@settings
def list_(where: Settings, output: str | None, layout: str | None, **flags: bool) -> None:
    """List services with their backends.

    \b
    cilium-py bpf lb list | grep -A3 10.96.0.1
    cilium-py bpf lb list -o jsonl | jq -r 'select(.backend_state == "missing").address'
    """
    form = where.output(output)
    alone: dict[str, MapDef[Any]] = {
        "revnat": lb_revnat.MAP,
        "frontends": lb_services.MAP,
        "backends": lb_backends.MAP,
        "source_ranges": lb_ranges.MAP,
    }
    for flag, definition in alone.items():
        if flags[flag]:
            list_family(where, form, Family(definition, where.pins, layout), subject=Subject.of(definition))
            return
    family = Family(lb_services.MAP, where.pins, layout)
    with Backends(where) as known:
        if not form.compat:
            list_rows(where, form, (joined(row, known.of(row)) for row in family.rows()), Row, TEXT)
        else:
            no_options_in_compat(form)
            shape = GoTable[lb_services.Row](
                TITLES, lambda pair: compat_entry(pair, known), titles_when_empty=True, empty_without_map=True
            )
            show_family(form, replace(family, definition=replace(lb_services.MAP, compat=shape)))
        if known.left_out is not None:
            raise known.left_out


class Backends:
    """The backends of a node, each looked up when it is asked for: memory need not hold them all.

    Close it, or use it in a with block.
    """

    def __init__(self, where: Settings) -> None:
        self.left_out: Partial | None = None
        """What is to be said if not every map of them could be read."""
        self._stack = ExitStack()
        self._tables: list[OpenTable[lb_backends.Row]] = []
        self._get = lru_cache(RECENT)(self._look_up)
        try:
            for table in Family(lb_backends.MAP, where.pins).opened():
                self._tables.append(self._stack.enter_context(table))
        except MapMissing:
            pass
        except Partial as error:
            self.left_out = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, service: lb_services.Row) -> lb_backends.Row | None:
        """The backend in a slot; None where there is none, and in slot 0."""
        return self._get(service.backend_id) if service.slot else None

    def _look_up(self, backend_id: int) -> lb_backends.Row | None:
        rows = (table.get(table.layout.key(value=backend_id)) for table in reversed(self._tables))
        return next(filter(None, rows), None)


def joined(row: lb_services.Row, backend: lb_backends.Row | None) -> Row:
    service = row.address, row.port, row.protocol, row.internal, row.slot, row.rev_nat, row.flag_names, row.proxy_port
    if row.slot == 0:
        return Row(*service, 0, "", "", "")
    if backend is None:
        return Row(*service, row.backend_id, "", "", "missing")
    said = bracketed(backend.address, backend.port)
    return Row(*service, row.backend_id, said, backend.protocol, backend.state)


def frontend_settings(row: Row | lb_services.Row) -> str:
    """The second column of slot 0, where an address of zeros stands for the backend."""
    address = "[::]" if len(row.address) == 16 else "0.0.0.0"
    proxy = f"(L7LB Proxy Port: {row.proxy_port})" if "l7-load-balancer" in row.flag_names else ""
    return f"{address}:0 ({row.rev_nat}) (0) [{', '.join(row.flag_names)}] {proxy}"


def cells(row: Row) -> tuple[str, str]:
    frontend = lb_services.frontend(*row[:5])
    if row.slot == 0:
        return frontend, frontend_settings(row)
    if not row.backend:
        return frontend, f"backend {row.backend_id} not found"
    return frontend, f"{row.backend}/{row.backend_protocol} ({row.rev_nat}) ({row.slot})"


def compat_entry(pair: Pair, known: Backends) -> tuple[str, str]:
    """Like cells, but with brackets only round the backends of an IPv6 frontend."""
    row: lb_services.Row = pair.row
    backend = known.of(row)
    if backend is None:
        return cells(joined(row, None))
    address = go_ip(backend.address)
    if len(row.address) == 16:
        address = f"[{address}]"
    said = f"{address}:{backend.port}/{backend.protocol} ({row.rev_nat}) ({row.slot})"
    return lb_services.frontend(*row[:5]), said


TITLES = ("SERVICE ADDRESS", "BACKEND ADDRESS (REVNAT_ID) (SLOT)")
TEXT = Table(TITLES, cells)


@maglev.command("get")
@click.argument("service_id", metavar="ID", callback=lambda _ctx, _param, text: number(text, "a service id", 65535))
@output_option
@settings
def maglev_get(where: Settings, service_id: int, output: str | None) -> None:
    """Show the lookup tables of one service, by its reverse NAT id.

    \b
    cilium-py bpf lb maglev get 1
    cilium-py bpf lb maglev get 1 -o json | jq '.[0].table | group_by(.) | map([.[0], length])'
    """
    form = where.output(output)
    pairs = list(maglev_tables(where, service_id))
    if not pairs:
        raise CiliumPyError(f"no Maglev table of service {service_id}", "lb maglev list shows which there are")
    if not form.compat:
        show(form, (pair.row for pair in pairs), lb_maglev.Row, lb_maglev.MAP.text)
        return
    from cilium_py.render.compat import write as write_compat

    write_compat(sys.stdout.buffer, form, lb_maglev.MAP, [pairs])


def maglev_tables(where: Settings, service_id: int) -> Iterator[Pair]:
    """The table of a service for each address family that has one."""
    for table in Family(lb_maglev.MAP, where.pins).tables():
        key = lb_maglev.Key(value=service_id)
        row = table.get(key)
        if row is not None:
            yield Pair(key, None, row)
