"""`health`: who reaches whom, and why not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cilium_py.cli.context import Settings, output_option, settings, show
from cilium_py.cli.health_rows import HISTORY, PathRow, document, path_rows
from cilium_py.cli.main import LazyGroup
from cilium_py.cli.parameters import time_option
from cilium_py.cli.screen import is_capable, live
from cilium_py.cli.select import SelectingCommand, Subject, list_rows
from cilium_py.cli.streams import printable
from cilium_py.cli.watch import looks
from cilium_py.errors import WrongUsage
from cilium_py.health import diagnosis, text, verdict
from cilium_py.health.client import Client, NoProber, find_socket
from cilium_py.health.history import Summary
from cilium_py.health.model import Report
from cilium_py.paths import NodePaths
from cilium_py.render import Output, write_value
from cilium_py.schema import Line

if TYPE_CHECKING:
    from cilium_py.offline.answers import Probes


def socket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """-H/--socket, passed as `socket_path`."""
    return click.option(
        "-H", "--socket", "socket_path", metavar="PATH", type=click.Path(path_type=Path),
        help="socket of the prober [CILIUM_HEALTH_SOCK, or the node's]",
    )(command)  # fmt: skip


@click.group(
    cls=LazyGroup,
    lazy={
        "endpoint": ("cilium_py.cli.health_endpoint", "The node's health endpoint"),
        "run": ("cilium_py.cli.health_run", "Probe every node, round after round"),
        "serve": ("cilium_py.cli.health_run", "Answer probes, and do nothing else"),
    },
)
def health() -> None:
    """Who reaches whom: every node probes every node and its health endpoint.

    \b
    cilium-py health endpoint add
    cilium-py health run
    cilium-py health status
    cilium-py health status --probe --timeout 2s     without a prober that runs
    """


@health.command()
@click.option("--verbose", "form", flag_value="verbose", help="every path with both its probes")
@click.option("--succinct", "form", flag_value="succinct", help="a line a node, each side in a word")
@click.option("--matrix", "form", flag_value="matrix", help="nodes by paths, round-trip times in the cells")
@click.option("--probe", is_flag=True, help="probe everything now")
@time_option("--timeout", "10s", "with --probe: take what there is then")
@click.option("-w", "--watch", is_flag=True, help="go on, until interrupted")
@time_option("--every", "2s", "with --watch: pause between two looks")
@socket_option
@output_option
@settings
def status(
    where: Settings,
    form: str | None,
    probe: bool,
    timeout: float,
    watch: bool,
    every: float,
    socket_path: Path | None,
    output: str | None,
) -> int:
    """Show which nodes answer this one, and what the others suffer from.

    Exit code: 0 all is reachable; 1 some path is not, or loses large packets; 3 not everything was probed yet. With
    --watch it is that of the last look.
    In json and yaml the document is that of Cilium's API, in jsonl, csv and table there is a row for each path.

    \b
    cilium-py health status
    cilium-py health status --probe --timeout 2s --verbose
    cilium-py health status -o json | jq -r '.diagnosis[] | "\\(.node): \\(.cause)"'
    cilium-py health status --matrix --watch
    """
    shape = where.output(output)
    if where.recording is not None and (probe or watch):
        raise WrongUsage("--from, and --probe or --watch: a recording does not change")

    def look() -> Report:
        if where.recording is not None:
            return _recorded(where, socket_path).report
        return _look(where.paths, socket_path, timeout if probe else None)

    def shown(report: Report) -> str:
        return "\n".join(_text(report, form or "default", shape.compat))

    if watch:
        return _watch(look, shown, shape, every)
    report = look()
    if shape.is_text:
        click.echo(shown(report))
    else:
        _write(shape, report)
    return verdict.exit_code(report)


@health.command("history", cls=SelectingCommand, subject=Subject("health history", Summary), arranges=True)
@socket_option
@output_option
@settings
def history(where: Settings, socket_path: Path | None, output: str | None) -> None:
    """Show the last 100 probes of each path: losses, quantiles, last failure.

    \b
    cilium-py health history
    cilium-py health history --where 'loss_percent > 0.5' --sort p95_ns:desc
    cilium-py health history -o json | jq '.[] | select(.loss_percent > 0)'
    """
    list_rows(where, where.output(output), _history(where, socket_path), Summary, HISTORY)


@health.command()
@socket_option
@settings
def ping(where: Settings, socket_path: Path | None) -> None:
    """Ask the prober whether it is there.

    \b
    cilium-py health ping && echo it runs
    """
    _client(where.paths, socket_path).healthz()
    click.echo("OK")


@health.command()
@socket_option
@output_option
@settings
def get(where: Settings, socket_path: Path | None, output: str | None) -> None:
    """Show the prober's uptime, the machine's load and the node's state.

    \b
    cilium-py health get -o jsonpath='{.uptime}'
    """
    shape = where.output(output)
    if where.recording is not None:
        found = _recorded(where, socket_path).daemon
    else:
        found = _client(where.paths, socket_path).healthz()
    if not shape.is_text:
        write_value(sys.stdout.buffer, shape, found)
        return
    loads = _part(found, "system-load")
    state = _part(found, "cilium", "cilium")
    lines = [
        ("Daemon uptime:", str(found.get("uptime", ""))),
        ("Node load:", " ".join(str(loads.get(f"last{minutes}min", "")) for minutes in (1, 5, 15))),
        ("Cilium:", f"{state.get('state', '')}   {state.get('msg', '')}".rstrip()),
    ]
    for line in text.columns(lines):
        click.echo(line)


def _history(where: Settings, socket_path: Path | None) -> list[Summary]:
    if where.recording is not None:
        from cilium_py.offline import answers

        return answers.past_of(where.paths, _recorded(where, socket_path))
    return _client(where.paths, socket_path).history()


def _recorded(where: Settings, socket_path: Path | None) -> Probes:
    from cilium_py.offline import answers

    if socket_path is not None:
        raise WrongUsage("--from and --socket: a recording or a prober, not both")
    return answers.required_probes(where.paths)


def _part(document: Any, *keys: str) -> dict[str, Any]:  # whatever a prober answered
    """What a document has under keys within keys, empty if that is not there."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _client(paths: NodePaths, socket_path: Path | None) -> Client:
    return Client(socket_path or find_socket(paths))


def _look(paths: NodePaths, socket_path: Path | None, timeout: float | None) -> Report:
    """The report of the prober; if it is to probe now and there is none, probe ourselves."""
    client = _client(paths, socket_path)
    if timeout is None:
        return client.status()
    try:
        return client.probe(timeout)
    except NoProber:
        if socket_path is not None:
            raise
    from cilium_py.health.prober import Manner
    from cilium_py.health.standalone import probe_once

    return probe_once(paths, timeout, Manner())


def _text(report: Report, form: str, compat: bool) -> Iterator[str]:
    forms: dict[str, Callable[[Report], Iterator[str]]] = {
        "default": text.default,
        "verbose": text.verbose,
        "succinct": text.succinct,
        "matrix": text.matrix,
    }
    yield from map(printable, forms[form](report))
    findings = diagnosis.diagnose(report)
    if findings and not compat:
        yield ""
        yield from (printable(f"{finding.node}: {finding.cause}") for finding in findings)


def _write(shape: Output, report: Report) -> None:
    if shape.format in ("json", "yaml", "jsonpath"):
        write_value(sys.stdout.buffer, shape, document(report, shape.compat))
    else:
        show(shape, path_rows(report), PathRow, Line[PathRow](str))
    sys.stdout.buffer.flush()


def _watch(look: Callable[[], Report], shown: Callable[[Report], str], shape: Output, every: float) -> int:
    """Show one look after the other until interrupted: at a terminal in the same place, else one below the other.

    The exit code is that of the last look.
    """
    report = look()

    def again() -> None:
        nonlocal report
        report = look()

    def screen(height: int) -> list[str]:
        return [*shown(report).splitlines()[: height - 1], "q quit"]

    with contextlib.suppress(KeyboardInterrupt):
        if shape.is_text and is_capable():
            live(again, screen, every)
            return verdict.exit_code(report)
        for number, _ in enumerate(looks(every, None)):
            if number:
                again()
            if shape.is_text:
                click.echo(shown(report) + "\n")
            else:
                _write(shape, report)
    return verdict.exit_code(report)
