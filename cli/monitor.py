"""`monitor`: what the programs report, as it happens."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cilium_py.cli.context import Settings, say, settings
from cilium_py.cli.parameters import time_option
from cilium_py.errors import WrongUsage

if TYPE_CHECKING:
    from cilium_py.monitor.filters import Filters
    from cilium_py.monitor.labels import Names
    from cilium_py.monitor.monitor import Monitor, Writer
    from cilium_py.monitor.source import Source
    from cilium_py.monitor.tally import Tally

F = TypeVar("F", bound=Callable[..., Any])
PARTIAL = 3

FILTERS = {
    "-t": "type",
    "--type": "type",
    **{f"--{name}": name for name in (
        "from", "to", "related-to", "ip", "from-ip", "to-ip", "port", "from-port", "to-port", "protocol",
        "identity", "from-identity", "to-identity", "verdict", "drop-reason",
    )},
}  # fmt: skip
"""The options that --not may stand before."""


class NotCommand(click.Command):
    """A command where `--not --port 53` means `--port !53`, which few shells let pass unquoted."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(_negated(args)))


def _negated(arguments: list[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument != "--not":
            yield argument
            continue
        option, equals, value = next(rest, "").partition("=")
        if option not in FILTERS:
            raise WrongUsage(f"--not {option}: not a filter", "put it before one, as in --not --port 53")
        yield option
        yield f"!{value if equals else next(rest, '')}"


def _several(*names: str, metavar: str, text: str) -> Callable[[F], F]:
    """An option that may come more than once, its values alternatives."""
    return click.option(*names, multiple=True, metavar=metavar, help=text)


@click.command(cls=NotCommand)
@_several("-t", "--type", "types", metavar="TYPE", text="drop, trace, policy-verdict, debug, capture, agent, ...")
@_several("--from", "from_", metavar="ID", text="from this endpoint")
@_several("--to", metavar="ID", text="to this endpoint")
@_several("--related-to", metavar="ID", text="from or to this endpoint")
@_several("--ip", metavar="CIDR", text="from or to these addresses")
@_several("--from-ip", metavar="CIDR", text="from these addresses")
@_several("--to-ip", metavar="CIDR", text="to these addresses")
@_several("--port", metavar="N[-M]", text="from or to these ports")
@_several("--from-port", metavar="N[-M]", text="from these ports")
@_several("--to-port", metavar="N[-M]", text="to these ports")
@_several("--protocol", metavar="NAME", text="tcp, udp, sctp, icmp, icmpv6, arp, ... or a number")
@_several("--identity", metavar="ID|NAME|LABEL", text="from or to this identity")
@_several("--from-identity", metavar="ID|NAME|LABEL", text="from this identity")
@_several("--to-identity", metavar="ID|NAME|LABEL", text="to this identity")
@_several("--verdict", metavar="WORD", text="forwarded, dropped, redirected or audited")
@_several("--drop-reason", metavar="NAME|N", text="dropped for this reason")
@click.option("--not", "not_", is_flag=True, help="negate the filter that follows: --not --port 53")
@click.option("-v", "--verbose", count=True, help="debug messages too; twice: every header of every packet")
@click.option("-j", "--json", "as_json", is_flag=True, help="one JSON object a line")
@click.option("-n", "--numeric", is_flag=True, help="numbers only: no identity, label or interface names")
@click.option("--hex", "hexadecimal", is_flag=True, help="packets as a hex dump")
@click.option("--timestamps", is_flag=True, help="begin each line with its time")
@click.option("--time-format", metavar="FORMAT", help="iso, utc, time, unix, relative, or a pattern of strftime")
@click.option("--since-start", is_flag=True, help="count by kind and reason instead, and print the counts at the end")
@click.option("--last", type=click.IntRange(1), metavar="N", help="print only the last N events, at the end")
@click.option("--count", type=click.IntRange(1), metavar="N", help="end after N events")
@time_option("--timeout", None, "end after that time")
@click.option("--pages", type=click.IntRange(1, 1 << 16), metavar="N", help="memory for each CPU, a power of two")
@click.option("--take-over", is_flag=True, help="read even if another process does: it gets no more events")
@click.option("--monitor-socket", metavar="PATH", help="read what a Cilium agent passes on, instead of the map")
@settings
def monitor(
    where: Settings, verbose: int, as_json: bool, numeric: bool, hexadecimal: bool, timestamps: bool,
    time_format: str | None, since_start: bool, last: int | None, count: int | None, timeout: float | None,
    pages: int | None, take_over: bool, monitor_socket: str | None, not_: bool, **filters: tuple[str, ...],
) -> int:  # fmt: skip
    """Show what the programs of this node report: drops and why, packets on their way, verdicts of policies.

    Values of one filter are alternatives; different filters must all hold. Exits with 3 if events were lost.

    \b
    cilium-py monitor -t drop                             what is dropped, and why
    cilium-py monitor --related-to 1 --not --port 53      all of endpoint 1 but DNS
    cilium-py monitor --drop-reason 'Policy denied' --to-ip 10.0.0.0/8 --timestamps
    cilium-py monitor -j --timeout 10 | jq -c 'select(.type == "drop") | .packet.summary'
    """
    from cilium_py.monitor.labels import Names
    from cilium_py.monitor.monitor import Limits, Monitor
    from cilium_py.monitor.tally import Tally

    del not_  # only there for --help: NotCommand has taken it out
    if pages is not None and pages & (pages - 1):
        raise WrongUsage(f"--pages {pages}: not a power of two")
    known = Names.of_node(where.paths)
    chosen = _filters(known, filters)
    form = _clock(time_format) if timestamps or time_format is not None else None
    writer = _writer(where, known, chosen, verbose, as_json, numeric, hexadecimal, form)
    with closing(_source(where, pages, take_over, monitor_socket)) as source:
        run = Monitor(
            source, chosen, known, writer, put=_put, warn=say, limits=Limits(count, timeout), last=last,
            tally=Tally() if since_start else None,
        )  # fmt: skip
        with _interruptible(run), _no_collection():
            say(source.describe())
            say("Press Ctrl-C to quit")
            run.run()
        losses, failure = source.losses, source.failure
    if run.tally is not None:
        _show_counts(run.tally, as_json)
    unknown = f", {run.unknown} of an unknown form" if run.unknown else ""
    say(
        f"{run.shown} events {'shown' if run.tally is None else 'counted'} of {run.seen}{unknown}; "
        f"lost: {losses.kernel} in the kernel, {losses.reader} in the reader"
    )
    if failure is not None:
        raise failure
    return PARTIAL if any(losses) else 0


def _source(where: Settings, pages: int | None, take_over: bool, socket: str | None) -> Source:
    if socket is not None:
        from cilium_py.monitor.agent import AgentSource

        return AgentSource.open(Path(socket))
    from cilium_py.monitor.source import RingSource

    return RingSource.open(where.paths.globals, pages=pages, take_over=take_over)


def _filters(known: Names, given: dict[str, tuple[str, ...]]) -> Filters:
    from cilium_py.monitor.filters import Filters

    chosen = Filters()
    chosen.by_kind(word for value in given["types"] for word in value.split(","))
    for option, side in (("from_", "from"), ("to", "to"), ("related_to", "related")):
        chosen.by_endpoint(given[option], side)
    for prefix, side in (("", "either"), ("from_", "from"), ("to_", "to")):
        chosen.by_address(given[f"{prefix}ip"], side)
        chosen.by_port(given[f"{prefix}port"], side)
        chosen.by_identity(given[f"{prefix}identity"], side, known)
    chosen.by_protocol(given["protocol"])
    chosen.by_verdict(given["verdict"])
    chosen.by_drop_reason(given["drop_reason"])
    return chosen


def _writer(
    where: Settings, known: Names, filters: Filters, verbose: int, as_json: bool, numeric: bool, hexadecimal: bool,
    clock: Any,
) -> Writer:  # fmt: skip
    if as_json and where.compat:
        from cilium_py.monitor.compat import CompatJson

        return CompatJson(known)
    if as_json:
        from cilium_py.monitor.jsonl import JsonLines

        return JsonLines(known, numeric)
    from cilium_py.monitor.names import DEBUG as DEBUG_MESSAGES
    from cilium_py.monitor.names import TRACE_SOCK
    from cilium_py.monitor.text import DEBUG, VERBOSE, Text

    asked_for = filters.kinds is not None and filters.kinds <= {DEBUG_MESSAGES, TRACE_SOCK}
    verbosity = max(min(verbose, VERBOSE), VERBOSE if hexadecimal else 0, DEBUG if asked_for else 0)
    return Text(known, verbosity, numeric, where.compat, hexadecimal, clock)


def _clock(form: str | None) -> Any:
    from cilium_py.monitor.clock import clock

    return clock(form or "iso", time.time_ns())


def _put(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


@contextmanager
def _interruptible(run: Monitor) -> Iterator[None]:
    """Let the first Ctrl-C, or SIGTERM, end the run as if its time were over; the next one ends it at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        run.stopping = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Spare the search for cycles: events have none, and are many."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _show_counts(tally: Tally, as_json: bool) -> None:
    from cilium_py.cli.context import show
    from cilium_py.monitor.tally import Row
    from cilium_py.render import Output
    from cilium_py.schema import Table

    titles = ("TYPE", "REASON", "WHERE", "EVENTS", "BYTES")
    table: Table[Row] = Table(titles, lambda row: tuple(map(str, row)), padded="none")
    show(Output("jsonl" if as_json else "text"), tally.rows(), Row, table)
