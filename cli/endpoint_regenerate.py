"""`endpoint regenerate` and `endpoint restore`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from cilium_py.cli.context import Settings, output_option, say, settings, show
from cilium_py.cli.parameters import labels_option, optional_endpoint_argument, time_option
from cilium_py.errors import CiliumPyError, EndpointMissing, Partial, RegenerationFailed, WrongUsage, advice, said

if TYPE_CHECKING:
    from cilium_py.endpoint.regenerate import Build

AT_ONCE = 4
"""Endpoints that are regenerated at a time, if there are so many CPUs."""


class PhaseRow(NamedTuple):
    """How long one part of a regeneration took."""

    endpoint: int
    phase: str
    milliseconds: float


class Result(NamedTuple):
    """How the regeneration of one endpoint ended."""

    endpoint: int
    phases: list[PhaseRow]
    failure: CiliumPyError | None


@click.command()
@optional_endpoint_argument
@click.option("--all", "everything", is_flag=True, help="every endpoint of the node")
@labels_option
@click.option("--reason", default="asked for by hand", show_default=True, help="what the endpoint's log says of it")
@click.option("--no-wait", is_flag=True, help="return when it is queued; `endpoint log` shows how it ended")
@time_option("--timeout", None, "give up if others hold the endpoint longer", least=0)
@click.option("--compile", "compiled", is_flag=True, help="build from source with clang, not from the prebuilt object")
@click.option("--llc", is_flag=True, help="with --compile: clang -emit-llvm, then llc")
@output_option
@settings
def regenerate(
    where: Settings,
    endpoint_id: int | None,
    everything: bool,
    labels: tuple[str, ...],
    reason: str,
    no_wait: bool,
    timeout: float | None,
    compiled: bool,
    llc: bool,
    output: str | None,
) -> None:
    """Rewrite an endpoint's headers, load its programs anew and swap them in; no packet is lost.

    Returns when the new program runs, having said how long each phase took, or fails and leaves the old one. Several
    endpoints are regenerated side by side; one that fails does not keep others from it.

    \b
    cilium-py endpoint regenerate 1
    cilium-py endpoint regenerate --all -o json
    cilium-py endpoint regenerate -l app=web --no-wait
    """
    from cilium_py.endpoint.regenerate import Build

    if everything + bool(labels) + (endpoint_id is not None) != 1:
        raise WrongUsage("name one endpoint, or labels, or say --all", hint="cilium-py endpoint list")
    if llc and not compiled:
        raise WrongUsage("--llc is a way to compile", hint="add --compile")
    compiler = None
    if compiled:
        from cilium_py.loader.compiler import Compiler

        compiler = Compiler.find(llc=llc)
    build = Build(compiler=compiler, reason=reason, patience=timeout)
    wanted = [endpoint_id] if endpoint_id is not None else _several(where, labels)
    if no_wait:
        for each in wanted:
            _queue(where, each, build)
        return
    failures: list[CiliumPyError] = []
    results = _noting(failures, _regenerated(where, wanted, build), named=endpoint_id is not None)
    if output is None:
        for result in results:
            _tell(result)
    else:
        from cilium_py.schema import Line

        rows = (row for result in results for row in result.phases)
        show(where.output(output), rows, PhaseRow, Line(_line))
    for failure in failures[:-1]:
        say(f"error: {failure.message}")
    if failures:
        raise failures[-1]


def _several(where: Settings, labels: tuple[str, ...]) -> list[int]:
    from cilium_py.endpoint import naming, store
    from cilium_py.node.config import NodeConfig

    NodeConfig.load(where.paths)
    return [found.id for found in naming.having(where.paths, labels)] if labels else store.ids(where.paths)


def _regenerated(where: Settings, wanted: list[int], build: Build) -> Iterator[Result]:
    """Regenerate the endpoints, and tell of each when it is done; at a terminal a bar shows how far it is."""
    if len(wanted) == 1:
        yield _one(where, wanted[0], build)
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        running = [pool.submit(_one, where, each, build) for each in wanted]
        done = (future.result() for future in as_completed(running))
        try:
            yield from _with_bar(done, len(wanted)) if sys.stderr.isatty() else done
        finally:
            for future in running:
                future.cancel()


def _one(where: Settings, endpoint_id: int, build: Build) -> Result:
    from dataclasses import replace

    from cilium_py.endpoint.regenerate import regenerate as regenerate_endpoint
    from cilium_py.loader.phases import Phases

    phases = Phases()
    failure: CiliumPyError | None = None
    try:
        regenerate_endpoint(where.paths, endpoint_id, replace(build, phases=phases))
    except CiliumPyError as error:
        failure = error
    except OSError as error:
        failure = RegenerationFailed(f"endpoint {endpoint_id}: not regenerated: {said(error)}", advice(error))
    rows = [PhaseRow(endpoint_id, name, round(seconds * 1000, 3)) for name, seconds in phases.seconds.items()]
    return Result(endpoint_id, rows, failure)


def _with_bar(results: Iterable[Result], total: int) -> list[Result]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("regenerating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    done = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        for result in results:
            done.append(result)
            progress.advance(task)
    return done


def _noting(failures: list[CiliumPyError], results: Iterable[Result], named: bool) -> Iterator[Result]:
    """The results, having noted failures. An endpoint that went meanwhile, and that nobody named, is no failure."""
    for result in results:
        if isinstance(result.failure, EndpointMissing) and not named:
            continue
        if result.failure is not None:
            failures.append(result.failure)
        yield result


def _tell(result: Result) -> None:
    for row in result.phases:
        click.echo(_line(row))
    if result.failure is None:
        click.echo(f"Endpoint {result.endpoint} successfully regenerated")


def _line(row: PhaseRow) -> str:
    return f"endpoint {row.endpoint}: {row.phase:<18}{row.milliseconds:>10.1f} ms"


def _queue(where: Settings, endpoint_id: int, build: Build) -> None:
    """Leave the regeneration to a process of its own, and return when its request is recorded."""
    from dataclasses import replace

    from cilium_py.endpoint.regenerate import regenerate as regenerate_endpoint
    from cilium_py.health.detach import detach

    def work(ready: Callable[[], None]) -> None:
        with contextlib.suppress(RegenerationFailed):
            regenerate_endpoint(where.paths, endpoint_id, replace(build, accepted=ready))

    sys.stdout.flush()
    detach(work)
    click.echo(f"Endpoint {endpoint_id} queued for regeneration")


@click.command()
@click.option("--remove-orphans", is_flag=True, help="delete the endpoints whose namespace or interface is gone")
@output_option
@settings
def restore(where: Settings, remove_orphans: bool, output: str | None) -> None:
    """Complete the node and its endpoints from the state directory: after a reboot, or where pins or devices are lost.

    What is intact is left alone. An orphan, whose namespace or interface is gone, is reported: exit code 3.

    \b
    cilium-py endpoint restore
    cilium-py endpoint restore --remove-orphans
    """
    from cilium_py.endpoint.restore import FAILED, ORPHAN, Outcome
    from cilium_py.endpoint.restore import restore as restore_endpoints
    from cilium_py.schema import Table

    found = []

    def noted() -> Iterator[Outcome]:
        for outcome in restore_endpoints(where.paths, remove_orphans):
            found.append(outcome)
            yield outcome

    columns = Table[Outcome](("ENDPOINT", "NAME", "OUTCOME", "REASON"), lambda row: (str(row[0]), *row[1:]))
    show(where.output(output), noted(), Outcome, columns)
    failed = [str(outcome.endpoint) for outcome in found if outcome.outcome == FAILED]
    if failed:
        raise CiliumPyError(f"not restored: {', '.join(failed)}", hint="cilium-py endpoint log ID")
    orphans = [str(outcome.endpoint) for outcome in found if outcome.outcome == ORPHAN]
    if orphans:
        raise Partial(f"orphans: {', '.join(orphans)}", hint="--remove-orphans deletes them")
