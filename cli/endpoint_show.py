"""`endpoint list`, `get`, `log` and `health`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from cilium_py.cli.context import Settings, output_option, settings, show
from cilium_py.cli.endpoint_api import write_api
from cilium_py.cli.offline import conditions, report_of
from cilium_py.cli.parameters import endpoint_argument, labels_option, optional_endpoint_argument
from cilium_py.cli.rows import Listed, count_command, watch_command
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows, no_options_in_compat
from cilium_py.endpoint.view import EndpointRow
from cilium_py.errors import WrongUsage
from cilium_py.schema import Table
from cilium_py.schema.text import ip

if TYPE_CHECKING:
    from cilium_py.endpoint.model import Endpoint
    from cilium_py.endpoint.view import HealthRow
    from cilium_py.health.model import Path, Report

TITLES = (
    "ENDPOINT", "POLICY (ingress)", "POLICY (egress)", "IDENTITY", "LABELS (source:key[=value])", "IPv6", "IPv4",
    "STATUS",
)  # fmt: skip
SECOND_TITLES = ("", "ENFORCEMENT", "ENFORCEMENT", "", "", "", "", "")
SUBJECT = Subject("endpoint", EndpointRow)


@click.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@click.option("--no-headers", is_flag=True, help="leave the titles out")
@output_option
@settings
def list_(where: Settings, no_headers: bool, output: str | None) -> None:
    """List endpoints.

    \b
    cilium-py endpoint list
    cilium-py endpoint list --where 'status != ready or labels has container:app=web' --sort identity
    cilium-py endpoint list -o json | jq -r '.[] | select(.status != "ready").endpoint'
    """
    from cilium_py.endpoint import api, store
    from cilium_py.render.tabular import lines

    form = where.output(output)
    no_options_in_compat(form)
    if form.compat and not form.is_text:
        condition = conditions(where)
        write_api(form, [api.endpoint(where.paths, found, condition(found)) for found in store.all(where.paths)])
        return
    rows = rows_of(where)
    if asked().is_given or not form.is_text:
        list_rows(where, form, rows, EndpointRow, TEXT)
        return
    table = lines(TITLES, chain([SECOND_TITLES], (cells for found in rows for cells in _cells(found))))
    for number, line in enumerate(table):
        if number > 1 or not no_headers:
            click.echo(line)


def rows_of(where: Settings) -> Iterator[EndpointRow]:
    """The endpoints of the node, or of the recorded one. Raises Partial after the last if one cannot be read."""
    from cilium_py.endpoint import store
    from cilium_py.endpoint.view import row

    condition = conditions(where)
    return (row(found, condition(found)) for found in store.all(where.paths))


def _cells(found: EndpointRow) -> Iterator[tuple[str, ...]]:
    """The cells of an endpoint, and one more line for each further label."""
    first, *others = found.labels or [""]
    yield _line(found, first)
    for label in others:
        yield ("", "", "", "", label, "", "", "")


def _line(found: EndpointRow, labels: str) -> tuple[str, ...]:
    ipv6, ipv4 = (ip(address) if address is not None else "" for address in (found.ipv6, found.ipv4))
    return (
        str(found.endpoint), found.policy_ingress, found.policy_egress, str(found.identity), labels, ipv6, ipv4,
        found.status,
    )  # fmt: skip


TEXT = Table[EndpointRow](TITLES, lambda row: _line(row, ",".join(row.labels)), padded="none")
LISTED = Listed("cilium-py endpoint", SUBJECT, rows_of, ("endpoint",), TEXT, "--state ready")
count, watch = count_command(LISTED), watch_command(LISTED)


@click.command()
@optional_endpoint_argument
@labels_option
@output_option
@settings
def get(where: Settings, endpoint_id: int | None, labels: tuple[str, ...], output: str | None) -> None:
    """Show everything about an endpoint, as JSON unless asked otherwise.

    \b
    cilium-py endpoint get 1 -o jsonpath='{[0].status.networking.mac}'
    cilium-py endpoint get -l app=web
    """
    from cilium_py.endpoint import api, naming, store

    if (endpoint_id is None) != bool(labels):
        raise WrongUsage("name one endpoint, or labels", hint="cilium-py endpoint list")
    form = where.output(output)
    found = naming.having(where.paths, labels) if endpoint_id is None else [store.load(where.paths, endpoint_id)]
    condition = conditions(where)
    write_api(form, [api.endpoint(where.paths, each, condition(each)) for each in found])


@click.command()
@endpoint_argument
@output_option
@settings
def log(where: Settings, endpoint_id: int, output: str | None) -> None:
    """Show what happened to an endpoint, the newest first.

    \b
    cilium-py endpoint log 1 | head -n5
    cilium-py endpoint log 1 -o json | jq '.[] | select(.code != "OK")'
    """
    from cilium_py.endpoint import api, history, store
    from cilium_py.endpoint.history import Entry

    form, found = where.output(output), store.load(where.paths, endpoint_id)
    if form.compat and not form.is_text:
        write_api(form, api.log(where.paths, found))
        return
    columns = Table[Entry](
        ("Timestamp", "Status", "State", "Message"),
        lambda entry: (entry.timestamp, entry.code, entry.state, entry.message),
    )
    show(form, reversed(history.entries(where.paths, endpoint_id)), Entry, columns)


@click.command()
@endpoint_argument
@output_option
@settings
def health(where: Settings, endpoint_id: int, output: str | None) -> None:
    """Show how an endpoint is, and what of it is missing; for the health endpoint, what a running prober finds.

    \b
    cilium-py endpoint health 1
    """
    from cilium_py.endpoint import api, store
    from cilium_py.endpoint.view import health as health_of
    from cilium_py.render import write_value

    form = where.output(output)
    endpoint = store.load(where.paths, endpoint_id)
    found = health_of(endpoint, conditions(where)(endpoint))
    if form.compat and not form.is_text:
        write_api(form, api.health_words(found))
        return
    probes = report_of(where)
    probed = _paths_to(endpoint, probes) if probes is not None else []
    if not form.is_text:
        write_value(sys.stdout.buffer, form, [{**found._asdict(), "probes": [path.document() for path in probed]}])
        return
    for name, value in _health(found):
        click.echo(f"{name + ':':<18}{value}")
    for path in probed:
        for protocol, outcome in (("ICMP", path.icmp), ("HTTP", path.http)):
            if outcome is not None:
                said = f"OK, {outcome.latency / 1e6:.3f} ms" if outcome.ok else outcome.status
                click.echo(f"{f'{protocol} to {path.ip}:':<18} {said}")


def _paths_to(endpoint: Endpoint, probes: Report) -> list[Path]:
    """What the prober knows of the endpoint: something if it is the node's health endpoint."""
    own = set(map(str, endpoint.addresses))
    sides = (node.endpoint for node in probes.nodes if node.endpoint is not None)
    return [path for side in sides for path in side.paths if path.ip in own]


def _health(found: HealthRow) -> Iterator[tuple[str, str]]:
    yield "Overall Health", found.overall
    yield "BPF Health", found.bpf
    yield "Policy Health", found.policy
    yield "Connected", "yes" if found.connected else "no"
    for problem in found.problems:
        yield "Problem", problem
