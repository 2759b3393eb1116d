"""`--from`: a recording in the place of the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cilium_py.cli.context import Settings, say
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.paths import NodePaths
from cilium_py.snapshot.open import recording

if TYPE_CHECKING:
    from cilium_py.endpoint.model import Endpoint
    from cilium_py.endpoint.status import Condition
    from cilium_py.health.model import Report
    from cilium_py.policy.repository import Repository
    from cilium_py.snapshot.recording import Recording

MAPS = ("bpf", "completion", "ct", "doctor", "flow", "nat", "snapshot", "version")
"""Commands that read what a recording has, whatever they are asked; those of them that change maps cannot."""
STATE = {
    "endpoint": ("config", "count", "get", "health", "labels", "list", "log"),
    "health": ("endpoint status", "get", "history", "status"),
    "identity": ("count", "get", "list"),
    "node": ("count", "list"),
    "policy": ("count", "get", "list", "selectors", "validate"),
    "status": ("",),
}
"""Commands that read the state directory, of which the others change it or what runs."""

HINTS = {
    "endpoint": "a snapshot does, and what has the map cilium_lxc, a state directory or a debuginfo",
    "node": "a snapshot does, and what has other nodes in a map of node ids, tunnels or ipcache, or a debuginfo",
    "rules": "a snapshot of a node of ours does, and what has a debuginfo",
}


def refuse_both(ctx: click.Context) -> None:
    """Refuse --from with an option that names a node; what the environment names is passed over."""
    for parameter in ("node", "bpf_root", "state_dir"):
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise WrongUsage(f"--from and --{parameter.replace('_', '-')}: a recording or a node, not both")


def recorded(ctx: click.Context, text: str, *, compat: bool, verbose: int) -> Settings:
    """The settings under which a command reads a recording, which is open until the command ends."""
    name = ctx.invoked_subcommand
    if name not in (*MAPS, *STATE):
        raise WrongUsage(f"--from: {name} needs a live node", f"with a recording: {', '.join(sorted((*MAPS, *STATE)))}")
    if not text or "\0" in text:
        raise WrongUsage("--from: names no file")
    found = ctx.with_resource(recording(Path(text)))
    where = replace(with_state(found) if name in STATE else with_maps(found), compat=compat, verbose=verbose)
    if f"{name}s" in found.silent_of:
        raise CiliumPyError(f"{found.origin}: says nothing of {name}s", HINTS[str(name)])
    return where


def with_maps(found: Recording) -> Settings:
    """The settings under which the maps of a recording are read."""
    return Settings(NodePaths(found.origin, found.extract_state()), recording=found)


def with_state(found: Recording) -> Settings:
    """The settings under which also the state of a recorded node is read, which may be of another Cilium."""
    where = with_maps(found)
    if not (where.paths.state_dir / "node.json").exists():
        from cilium_py.offline import foreign

        found.of_another = True
        found.silent_of, found.told_by_maps = foreign.write_state(found, where.paths)
        for text in found.passed_over:
            say(f"note: {text}, passed over")
    return where


@contextmanager
def completing(ctx: click.Context) -> Iterator[Settings]:
    """What the line in the shell is about, for which no command has run. Raises CiliumPyError."""
    from cilium_py.cli.where import completing_paths

    text = ctx.find_root().params.get("recording")
    if not text:
        yield Settings(completing_paths(ctx))
        return
    with recording(Path(text)) as found:
        yield with_state(found)


@contextmanager
def reading(ctx: click.Context, where: Settings) -> Iterator[None]:
    """Run a command that reads a recording; one that it cannot answer is refused. Files are named as they are in it."""
    assert where.recording is not None
    _check(ctx, where.recording)
    try:
        yield
    except CiliumPyError as error:
        error.message = error.message.replace(str(where.paths.state_dir), f"{where.recording.origin}/state")
        raise


def _check(ctx: click.Context, found: Recording) -> None:
    words: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        words.insert(0, at.command.name or "")
        at = at.parent
    group, *rest = words
    begun = {" ".join(rest[:count]) for count in range(len(rest) + 1)}
    if group in STATE and not begun & set(STATE[group]):
        known = ", ".join(f"{group} {word}" for word in STATE[group])
        raise WrongUsage(f"--from {found.origin}: {' '.join(words)} needs a live node", f"with a recording: {known}")


def conditions(where: Settings) -> Callable[[Endpoint], Condition]:
    """How endpoints are, or were when they were recorded."""
    if where.recording is not None:
        from cilium_py.offline import answers

        known = answers.conditions(where.paths)
        return lambda endpoint: known[endpoint.id]
    from cilium_py.endpoint import status
    from cilium_py.node.config import NodeConfig

    node = NodeConfig.load(where.paths)
    return lambda endpoint: status.condition(where.paths, node, endpoint)


def report_of(where: Settings) -> Report | None:
    """What the node's prober found, or had found when it was recorded; None where none runs."""
    if where.recording is None:
        from cilium_py.health.client import reported

        return reported(where.paths)
    from cilium_py.offline import answers

    found = answers.probes(where.paths)
    return found.report if found is not None else None


def rules_of(where: Settings) -> Repository:
    """The rules of the node, or of the recorded one. Raises CiliumPyError where there is no node of ours."""
    from cilium_py.policy import repository

    if where.recording is None:
        from cilium_py.node.config import NodeConfig

        NodeConfig.load(where.paths)
    elif where.recording.of_another:
        from cilium_py.offline import foreign

        if not foreign.write_rules(where.recording, where.paths):
            raise CiliumPyError(f"{where.recording.origin}: says nothing of rules", HINTS["rules"])
    return repository.load(where.paths)


def refuse_change(where: Settings, what: str) -> None:
    """Of a command that shows or changes something: that the recording is not changed."""
    if where.recording is not None:
        raise WrongUsage(f"--from {where.recording.origin}: {what} of a recording cannot be changed")
