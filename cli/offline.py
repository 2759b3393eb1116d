"""`--from`: a recording in the place of the node."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from cilium_py.cli.context import Settings
from cilium_py.errors import WrongUsage
from cilium_py.paths import NodePaths
from cilium_py.snapshot.open import recording

COMMANDS = ("bpf", "completion", "ct", "doctor", "flow", "identity", "nat", "snapshot", "version")
"""Those that read what a recording has."""


def refuse_both(ctx: click.Context) -> None:
    """Refuse --from with an option that names a node; what the environment names is passed over."""
    for parameter in ("node", "bpf_root", "state_dir"):
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise WrongUsage(f"--from and --{parameter.replace('_', '-')}: a recording or a node, not both")


def recorded(ctx: click.Context, text: str, *, compat: bool, verbose: int) -> Settings:
    """The settings under which a command reads a recording, which is open until the command ends."""
    name = ctx.invoked_subcommand
    if name not in COMMANDS:
        raise WrongUsage(f"--from: {name} needs a live node", f"with a recording: {', '.join(COMMANDS)}")
    if not text or "\0" in text:
        raise WrongUsage("--from: names no file")
    found = ctx.with_resource(recording(Path(text)))
    return Settings(NodePaths(found.origin, found.extract_state()), compat, verbose, found)
