"""`endpoint`: workloads with an interface of their own, and the programs at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.main import LazyGroup
from cilium_py.cli.offline import conditions, refuse_change, report_of
from cilium_py.cli.parameters import complete_options, endpoint_argument, labels_option, optional_endpoint_argument
from cilium_py.cli.parameters import options as parse_options
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows, no_options_in_compat
from cilium_py.endpoint.view import EndpointRow
from cilium_py.errors import WrongUsage
from cilium_py.schema import Table
from cilium_py.schema.text import ip

if TYPE_CHECKING:
    from cilium_py.endpoint.model import Endpoint
    from cilium_py.endpoint.view import HealthRow
    from cilium_py.health.model import Path, Report
    from cilium_py.render import Output

TITLES = (
    "ENDPOINT", "POLICY (ingress)", "POLICY (egress)", "IDENTITY", "LABELS (source:key[=value])", "IPv6", "IPv4",
    "STATUS",
)  # fmt: skip
SECOND_TITLES = ("", "ENFORCEMENT", "ENFORCEMENT", "", "", "", "", "")
SUBJECT = Subject("endpoint", EndpointRow)

ALIASES = {"inspect": "get", "ls": "list", "show": "get"}
IN_FILES = {
    "add": ("cilium_py.cli.endpoint_add", "Give a workload an endpoint"),
    "regenerate": ("cilium_py.cli.endpoint_regenerate", "Load an endpoint's programs anew"),
    "restore": ("cilium_py.cli.endpoint_regenerate", "Find endpoints again after a reboot"),
}


class OptionDescription(NamedTuple):
    option: str
    description: str


class EndpointGroup(LazyGroup):
    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(name, name))


@click.group(cls=EndpointGroup, lazy=IN_FILES)
def endpoint() -> None:
    """Workloads with an interface of their own, and the programs at it.

    Wherever an ID is asked for, container-name:web, container-id:0f3a, pod-name:default:web, ipv4:10.244.1.7 and
    ipv6:fd10::7 are understood too.

    \b
    cilium-py endpoint list
    cilium-py endpoint regenerate 1
    """


@endpoint.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
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
    from cilium_py.endpoint.view import row
    from cilium_py.render.tabular import lines

    form = where.output(output)
    condition = conditions(where)
    no_options_in_compat(form)
    if form.compat and not form.is_text:
        _write_api(form, [api.endpoint(where.paths, found, condition(found)) for found in store.all(where.paths)])
        return
    rows = [row(found, condition(found)) for found in store.all(where.paths)]
    if asked().is_given or not form.is_text:
        list_rows(where, form, rows, EndpointRow, TEXT)
        return
    table = lines(TITLES, [SECOND_TITLES, *(cells for found in rows for cells in _cells(found))])
    for number, line in enumerate(table):
        if number > 1 or not no_headers:
            click.echo(line)


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


@endpoint.command()
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
    _write_api(form, [api.endpoint(where.paths, each, condition(each)) for each in found])


@endpoint.command()
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
        _write_api(form, api.log(where.paths, found))
        return
    columns = Table[Entry](
        ("Timestamp", "Status", "State", "Message"),
        lambda entry: (entry.timestamp, entry.code, entry.state, entry.message),
    )
    show(form, reversed(history.entries(where.paths, endpoint_id)), Entry, columns)


@endpoint.command()
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
        _write_api(form, api.health_words(found))
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


@endpoint.command()
@optional_endpoint_argument
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...", callback=parse_options, shell_complete=complete_options)
@click.option("--list-options", is_flag=True, help="what can be set, and what it does")
@output_option
@settings
def config(
    where: Settings, endpoint_id: int | None, changes: dict[str, int], list_options: bool, output: str | None
) -> None:
    """Show or change the options of an endpoint. A change is in force when the command returns.

    \b
    cilium-py endpoint config 1
    cilium-py endpoint config 1 IngressEnforcement=enable Debug=disable
    cilium-py endpoint config --list-options
    """
    from cilium_py.endpoint import api, store, view
    from cilium_py.endpoint.options import OPTIONS
    from cilium_py.schema import Line

    if list_options:
        described = [OptionDescription(name, option.description) for name, option in OPTIONS.items()]
        show(where.output(output), described, OptionDescription, Line[OptionDescription]("{0[0]:<28}{0[1]}".format))
        return
    if endpoint_id is None:
        raise WrongUsage("no endpoint was named", hint="cilium-py endpoint list")
    if changes:
        refuse_change(where, "the options")
        from cilium_py.endpoint.regenerate import Build, regenerate

        regenerate(where.paths, endpoint_id, Build(options=changes, reason="options changed"))
        click.echo(f"Endpoint {endpoint_id} configuration updated successfully")
        return
    form, found = where.output(output), store.load(where.paths, endpoint_id)
    if form.compat and not form.is_text:
        _write_api(form, api.configuration(found))
        return
    text = Line[view.OptionRow](lambda row: f"{row.option:<28}: {view.option_word(row.option, row.value)}")
    show(form, view.options(found), view.OptionRow, text)


@endpoint.command()
@endpoint_argument
@click.option("-a", "--add", "added", multiple=True, metavar="LABEL", help="add, or enable again; repeat")
@click.option("-d", "--delete", "deleted", multiple=True, metavar="LABEL", help="delete, or disable; repeat")
@output_option
@settings
def labels(
    where: Settings, endpoint_id: int, added: tuple[str, ...], deleted: tuple[str, ...], output: str | None
) -> None:
    """Show or change the labels of an endpoint, and with them its identity.

    A label that the workload was added with is disabled, not deleted: it stays listed, and can be enabled again.

    \b
    cilium-py endpoint labels 1
    cilium-py endpoint labels 1 -a tier=backend -d app=web
    """
    from cilium_py.endpoint import store, view

    if added or deleted:
        refuse_change(where, "the labels")
        from cilium_py.endpoint.relabel import relabel

        found = relabel(where.paths, endpoint_id, _words(added), _words(deleted))
    else:
        found = store.load(where.paths, endpoint_id)
    columns = Table[view.LabelRow](
        ("LABEL", "STATUS"), lambda row: (row.label, "Enabled" if row.enabled else "Disabled")
    )
    show(where.output(output), view.labels(found), view.LabelRow, columns)


def _write_api(form: Output, document: object) -> None:
    """Write a document of Cilium's API; in compat as Go does."""
    from cilium_py.endpoint import api
    from cilium_py.render import Output, write_value

    if not form.compat:
        write_value(sys.stdout.buffer, form, document)
        return
    from cilium_py.render.compat import write_document

    as_json = form if not form.is_text else Output.parse("json", compat=True)
    write_document(sys.stdout.buffer, as_json, api.without_zeros(document))


def _words(texts: tuple[str, ...]) -> list[str]:
    """Labels that were given one an option, or several by commas."""
    return [word for text in texts for word in text.split(",") if word]


@endpoint.command()
@endpoint_argument
@yes_option
@settings
def delete(where: Settings, endpoint_id: int, yes: bool, dry_run: bool) -> None:
    """Take an endpoint away: programs, maps, entries, identity, and the interface if `add` made it.

    \b
    cilium-py endpoint delete 7 --dry-run
    cilium-py endpoint delete 7 --yes
    """
    if _delete(where, endpoint_id, yes, dry_run):
        click.echo(f"Endpoint {endpoint_id} deleted")


@endpoint.command()
@endpoint_argument
@yes_option
@settings
def disconnect(where: Settings, endpoint_id: int, yes: bool, dry_run: bool) -> None:
    """Disconnect a workload from the network: Cilium's name for `delete`.

    \b
    cilium-py endpoint disconnect 7 --yes
    """
    if _delete(where, endpoint_id, yes, dry_run):
        click.echo(f"Endpoint {endpoint_id} successfully disconnected")


def _delete(where: Settings, endpoint_id: int, yes: bool, dry_run: bool) -> bool:
    from cilium_py.endpoint import store
    from cilium_py.endpoint.delete import delete as delete_endpoint

    found = store.load(where.paths, endpoint_id)
    if dry_run:
        click.echo(f"would delete {_described(found)}")
        return False
    confirm(f"Delete {_described(found)}?", yes)
    delete_endpoint(where.paths, endpoint_id)
    return True


def _described(found: Endpoint) -> str:
    where = f"interface {found.interface}" + ("" if found.owns_interface else " (which stays)")
    return f"endpoint {found.id}: {found.name} {' '.join(map(str, found.addresses))}, {where}"
