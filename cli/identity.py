"""`identity`: the numbers that stand for labels, reserved roles and CIDRs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

from cilium_py.cli.context import Settings, output_option, settings, show
from cilium_py.cli.groups import Group
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows
from cilium_py.endpoint import store
from cilium_py.errors import WrongUsage
from cilium_py.node.config import NodeConfig
from cilium_py.policy.identities import Identities, UnknownIdentity
from cilium_py.render import Output
from cilium_py.render.tabular import lines
from cilium_py.schema import Line, Table
from cilium_py.schema.text import number

LOCAL = 1
"""The scope, in the highest byte, of identities that CIDRs have on a node."""


class IdentityRow(NamedTuple):
    """An identity."""

    identity: int
    labels: list[str]
    kind: str
    """reserved, endpoint or cidr."""
    endpoints: int
    """How many of this node's endpoints have it."""


SUBJECT = Subject("identity", IdentityRow)
TEXT = Table[IdentityRow](
    ("ID", "LABELS", "KIND", "ENDPOINTS"),
    lambda row: (str(row.identity), ",".join(row.labels), row.kind, str(row.endpoints)),
    padded="none",
)


@click.group(cls=Group)
def identity() -> None:
    """Security identities: the numbers that stand for labels.

    \b
    cilium-py identity list
    cilium-py identity get 256
    """


@identity.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@click.argument("labels", nargs=-1)
@click.option("--endpoints", is_flag=True, help="only those of this node's endpoints, and how many have each")
@output_option
@settings
def list_(where: Settings, labels: tuple[str, ...], endpoints: bool, output: str | None) -> None:
    """List identities: all, or those that have all of the labels.

    \b
    cilium-py identity list
    cilium-py identity list --where 'kind == endpoint and endpoints == 0'
    cilium-py identity list app=web -o json | jq '.[].identity'
    """
    known = _identities(where)
    wanted = set(known.having(labels)) if labels else set(known.labels)
    rows = (row for row in _rows(where, known) if row.identity in wanted and (row.endpoints or not endpoints))
    form = where.output(output)
    if asked().is_given:
        list_rows(where, form, rows, IdentityRow, TEXT)
    else:
        _show(form, rows, endpoints)


@identity.command()
@click.argument("identity", required=False)
@click.option(
    "--label", "labels", multiple=True, metavar="LABEL", help="the identity that has just these labels; repeat"
)
@output_option
@settings
def get(where: Settings, identity: str | None, labels: tuple[str, ...], output: str | None) -> None:
    """Show an identity by its number, or by its labels.

    \b
    cilium-py identity get 1
    cilium-py identity get --label container:app=web
    """
    if (identity is None) != bool(labels):
        raise WrongUsage("name a number, or labels", "cilium-py identity list")
    known = _identities(where)
    if identity is not None:
        wanted = {number(identity, "an identity", 0xFFFFFFFF)} & known.labels.keys()
    else:
        wanted = {found for found in known.having(labels) if len(known.labels[found]) == len(labels)}
    if not wanted:
        raise UnknownIdentity(f"no identity {'is ' + identity if identity else 'has just these labels'}")
    _show(where.output(output), (row for row in _rows(where, known) if row.identity in wanted), False)


def _identities(where: Settings) -> Identities:
    return Identities.of(where.paths, NodeConfig.load(where.paths))


def _rows(where: Settings, known: Identities) -> Iterator[IdentityRow]:
    used = [endpoint.identity for endpoint in store.all(where.paths)]
    for identity, labels in known.labels.items():
        is_cidr = identity in known.cidrs or identity >> 24 == LOCAL
        kind = "cidr" if is_cidr else "endpoint" if identity in known.endpoints else "reserved"
        yield IdentityRow(identity, list(labels), kind, used.count(identity))


def rows_of(where: Settings) -> Iterator[IdentityRow]:
    """Every identity that the node knows, or the recorded one knew."""
    return _rows(where, _identities(where))


LISTED = Listed("cilium-py identity", SUBJECT, rows_of, ("identity",), TEXT, "--where 'kind == endpoint'")
add_verbs(identity, LISTED)


def _show(form: Output, rows: Iterable[IdentityRow], counted: bool) -> None:
    if not form.is_text:
        show(form, rows, IdentityRow, Line[IdentityRow](str))
        return
    titles = ("ID", "LABELS", "REFCOUNT") if counted else ("ID", "LABELS")
    for line in lines(titles, (cells[: len(titles)] for row in rows for cells in _cells(row)), "none"):
        click.echo(line.rstrip())


def _cells(row: IdentityRow) -> Iterator[tuple[str, ...]]:
    """The first label beside the number, each further one in a line of its own."""
    first, *others = row.labels or ["-"]
    yield str(row.identity), first, str(row.endpoints)
    for label in others:
        yield "", label, ""
