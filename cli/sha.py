"""`bpf sha`: the templates that endpoints' programs were made from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows, no_options_in_compat
from cilium_py.errors import CiliumPyError
from cilium_py.node import templates
from cilium_py.node.templates import TemplateUse
from cilium_py.render import Output, write_value
from cilium_py.render.tabular import lines
from cilium_py.schema import Table
from cilium_py.schema.golang import Blob

TITLES = ("Datapath SHA", "Endpoint(s)")


@click.group(cls=Group, aliases={"describe": "get"})
def sha() -> None:
    """Datapath templates."""


@sha.command("list", cls=SelectingCommand, subject=Subject("sha", TemplateUse), arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List templates and the endpoints that use each.

    \b
    cilium-py bpf sha list
    cilium-py bpf sha list --where 'problem != ""'
    """
    form = where.output(output)
    no_options_in_compat(form)
    if form.compat:
        list_as_cilium_dbg(form, templates.names(where.paths))
        return
    found = templates.uses(where.paths)
    if form.is_text and not asked().is_given:
        write_text(lines(TITLES, cells((name(use), use.endpoints) for use in found), titles_when_empty=False))
    else:
        text = Table[TemplateUse](TITLES, lambda use: (name(use), ",".join(map(str, use.endpoints))), padded="none")
        list_rows(where, form, found, TemplateUse, text)


def list_as_cilium_dbg(form: Output, found: dict[str, list[str]]) -> None:
    if form.is_text:
        write_text(lines(TITLES, cells(sorted(found.items())), titles_when_empty=False))
        return
    from cilium_py.render.compat import write_document

    write_document(sys.stdout.buffer, form, found)


def name(use: TemplateUse) -> str:
    return use.sha or f"<{use.problem}>"


def cells(found: Iterable[tuple[str, Sequence[object]]]) -> Iterable[tuple[str, str]]:
    """A line an endpoint; only the first of a template shows its name."""
    for template, endpoints in found:
        for at, endpoint in enumerate(endpoints or ["-"]):
            yield "" if at else template, str(endpoint)


def write_text(texts: Iterable[str]) -> None:
    for line in texts:
        click.echo(line)


@sha.command("get")
@click.argument("sha")
@output_option
@settings
def get(where: Settings, sha: str, output: str | None) -> None:
    """Print the header that a template was configured with, by the whole hash; -o json prints it as data.

    \b
    cilium-py bpf sha get 3f2a9c
    """
    form = where.output(output)
    stream = sys.stdout.buffer
    if form.is_text:
        stream.write(templates.read(where.paths, sha, templates.HEADER))
        return
    data = templates.read(where.paths, sha, templates.DOCUMENT)
    if form.compat:
        from cilium_py.render.compat import write_document

        write_document(stream, form, Blob(data))
        return
    try:
        document = json.loads(data)
    except ValueError as error:
        path = where.paths.templates / sha / templates.DOCUMENT
        raise CiliumPyError(f"{path}: not JSON: {error}") from error
    write_value(stream, form, document)
