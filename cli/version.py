"""`version`"""

from __future__ import annotations

import sys
from typing import NamedTuple

import click

from cilium_py import __version__
from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.render import write_value

SCHEMA = 1
"""Version of the machine formats: raised when a field changes its name, type or meaning, not when one is added."""


class Versions(NamedTuple):
    version: str
    schema: int
    libbpf: str


@click.command()
@output_option
@settings
def version(where: Settings, output: str | None) -> None:
    """Print the versions of cilium-py, of its output schema and of libbpf.

    \b
    cilium-py version -o json | jq .schema
    """
    from cilium_py.libbpf import library

    libbpf = library()
    release = f"{libbpf.libbpf_major_version()}.{libbpf.libbpf_minor_version()}"
    versions = Versions(__version__, SCHEMA, release)
    form = where.output(output)
    if form.is_text:
        click.echo(f"cilium-py {versions.version}, schema {versions.schema}, libbpf {versions.libbpf}")
    else:
        write_value(sys.stdout.buffer, form, versions)
