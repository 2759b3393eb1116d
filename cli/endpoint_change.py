"""`endpoint config`, `labels`, `delete` and `disconnect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.endpoint_api import write_api
from cilium_py.cli.offline import refuse_change
from cilium_py.cli.parameters import complete_options, endpoint_argument, optional_endpoint_argument
from cilium_py.cli.parameters import options as parse_options
from cilium_py.errors import WrongUsage
from cilium_py.schema import Table

if TYPE_CHECKING:
    from cilium_py.endpoint.model import Endpoint


class OptionDescription(NamedTuple):
    option: str
    description: str


@click.command()
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
        write_api(form, api.configuration(found))
        return
    text = Line[view.OptionRow](lambda row: f"{row.option:<28}: {view.option_word(row.option, row.value)}")
    show(form, view.options(found), view.OptionRow, text)


@click.command()
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


def _words(texts: tuple[str, ...]) -> list[str]:
    """Labels that were given one an option, or several by commas."""
    return [word for text in texts for word in text.split(",") if word]


@click.command()
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


@click.command()
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
        click.echo(f"Would delete {_described(found)}")
        return False
    confirm(f"Delete {_described(found)}?", yes)
    delete_endpoint(where.paths, endpoint_id)
    return True


def _described(found: Endpoint) -> str:
    where = f"interface {found.interface}" + ("" if found.owns_interface else " (which stays)")
    return f"endpoint {found.id}: {found.name} {' '.join(map(str, found.addresses))}, {where}"
