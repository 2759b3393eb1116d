"""`bpf policy`: the policy maps of endpoints, with the statistics of each entry."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows, no_options_in_compat
from cilium_py.cli.verbs import Target, add_verbs
from cilium_py.errors import CiliumPyError, MapMissing, WrongUsage
from cilium_py.maps.policy import (
    EMPTY,
    LABEL_TITLE,
    MAP,
    TITLES,
    Row,
    cells,
    compat_entry,
    compat_order,
    compat_row,
    order,
)
from cilium_py.node.identity import RESERVED
from cilium_py.policy import entries
from cilium_py.policy.entries import PolicyMap
from cilium_py.policy.ports import EVERYTHING, L4, LAST_PORT, PROTOCOLS, WITH_PORTS, exactly, port_range
from cilium_py.render import Output
from cilium_py.render.spool import arranged
from cilium_py.render.tabular import lines
from cilium_py.schema import GoList, GoStruct, GoType, Pair, Table
from cilium_py.schema.text import number
from cilium_py.table import OpenTable, explained, readable

OF_ENDPOINT = GoType("EndpointID", "Path", "Content")
FAN_OUT = (0, 1, 6, 17, 58, 132)
"""What cilium-dbg takes a port of any protocol for."""
SERVICE_NAME = re.compile(r"(?=[^a-zA-Z]*[a-zA-Z])[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*")
"""What cilium-dbg takes for the name of a port, if it is no longer than 15 characters."""


class View(NamedTuple):
    """How entries are shown."""

    numeric: bool
    compat: bool
    labels: Callable[[int], tuple[str, ...] | None]
    """Identity -> its labels, as far as this node knows them."""

    @classmethod
    def of(cls, where: Settings, numeric: bool) -> View:
        """cilium-dbg asks the agent for labels; a node of ours has them on disk."""
        from cilium_py.node.config import FILE, NodeConfig

        if numeric or where.compat or not (where.paths.state_dir / FILE).exists():
            return cls(numeric, where.compat, lambda _: None)
        from cilium_py.policy.identities import Identities

        return cls(numeric, where.compat, Identities.of(where.paths, NodeConfig.load(where.paths)).labels.get)


@click.group(cls=Group)
def policy() -> None:
    """Policy maps of endpoints: who may talk to them, and whom they may talk to."""


@policy.command("get", cls=SelectingCommand, subject=Subject.of(MAP), arranges=True)
@click.argument("endpoint", required=False)
@click.option("--all", "every", is_flag=True, help="of every endpoint")
@click.option("-n", "--numeric", is_flag=True, help="show identities as numbers, not as labels")
@output_option
@settings
def get(where: Settings, endpoint: str | None, every: bool, numeric: bool, output: str | None) -> None:
    """Show the policy of an endpoint: its id, or host.

    \b
    cilium-py bpf policy get 42
    cilium-py bpf policy get --all -n
    cilium-py bpf policy get 42 -o json | jq '.[] | select(.action == "deny")'
    """
    if every:
        show_all(where, output, numeric)
        return
    form = where.output(output)
    if endpoint is None:
        raise WrongUsage("which endpoint?", "give its id, or --all")
    found = entries.map_of(where.pins, scope_of(endpoint))
    view = View.of(where, numeric)
    if asked().is_given:
        list_selected(where, form, [found], view)
        return
    if form.compat and not form.is_text:
        from cilium_py.render.compat import write_list

        write_list(sys.stdout.buffer, form, GoList[Row](dumped), go_ordered(found))
    elif form.is_text:
        write_lines(table_lines(ordered(found, view), view))
    else:
        show(form, ordered(found, view), Row, MAP.text)


@policy.command("list", cls=SelectingCommand, subject=Subject.of(MAP), arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """Show the policy of every endpoint.

    \b
    cilium-py bpf policy list
    cilium-py bpf policy list -o jsonl
    """
    show_all(where, output, numeric=False)


def show_all(where: Settings, output: str | None, numeric: bool) -> None:
    found = entries.all_maps(where.pins)
    if where.compat and not found:
        write_lines(["no maps found"])
        return
    form, view = where.output(output), View.of(where, numeric)
    if not found and where.recording is None and not where.paths.globals.is_dir():
        raise MapMissing(f"{where.paths.globals}: no such directory", "is Cilium running here?")
    if asked().is_given:
        list_selected(where, form, found, view)
    elif form.is_text:
        write_lines(line for each, listed in contents(found, view) for line in block(each, listed, view))
    elif form.compat:
        from cilium_py.render.compat import write_nested

        documents = (
            (partial(OF_ENDPOINT, endpoint_text(each, view), str(each.path)), map(dumped, listed))
            for each, listed in readable(found, go_ordered)
        )
        write_nested(sys.stdout.buffer, form, documents)
    else:
        show(form, rows(found, view), Row, MAP.text)


def list_selected(where: Settings, form: Output, found: list[PolicyMap], view: View) -> None:
    """The entries that the options ask for, in one table."""
    no_options_in_compat(form)
    text = Table[Row](("ENDPOINT", *TITLES), lambda row: (row.endpoint, *cells(row, peer_of(row))), padded="none")
    list_rows(where, form, rows(found, view), Row, text)


def peer_of(row: Row) -> str:
    return ",".join(row.labels) or str(row.identity)


def contents(found: list[PolicyMap], view: View) -> Iterator[tuple[PolicyMap, Iterator[Row]]]:
    """Each map with its entries in order. An endpoint that went meanwhile is none, a map of unknown shape left out."""
    return readable(found, lambda each: ordered(each, view))


def rows(found: list[PolicyMap], view: View) -> Iterator[Row]:
    return (row for _, listed in contents(found, view) for row in listed)


def block(each: PolicyMap, listed: Iterator[Row], view: View) -> Iterator[str]:
    """The lines of one endpoint among several."""
    yield f"Endpoint ID: {endpoint_text(each, view)}"
    yield f"Path: {each.path}"
    yield ""
    yield from table_lines(listed, view)
    yield from ("", "")


def endpoint_text(each: PolicyMap, view: View) -> str:
    """The id; cilium-dbg takes all zeros off its left, of 0 too."""
    return str(each.endpoint_id or "") if view.compat else str(each.endpoint_id)


def table_lines(listed: Iterator[Row], view: View) -> Iterator[str]:
    """One line an entry, and one for each further label of its identity."""
    titles = tuple(LABEL_TITLE if title == "IDENTITY" and not view.numeric else title for title in TITLES)
    first = next(listed, None)
    found = listed if first is None else chain([first], listed)
    yield from lines(titles, (line for row in found for line in entry_cells(row)), padded="all")
    if first is None:
        yield EMPTY


def entry_cells(row: Row) -> Iterator[tuple[str, ...]]:
    first, *more = row.labels or [str(row.identity)]
    yield cells(row, first)
    for label in more:
        yield ("", "", label, *("" for _ in TITLES[3:]))


def ordered(each: PolicyMap, view: View) -> Iterator[Row]:
    """The rows of a map in order. It has been read when this returns."""
    if view.compat:
        return (pair.row for pair in go_ordered(each))
    found = arranged((pair.row for pair in read(each)), order)
    first = next(found, None)
    return (labelled(row, view) for row in (chain([first], found) if first else ()))


def go_ordered(each: PolicyMap) -> Iterator[Pair]:
    """The entries of a map as cilium-dbg words and orders them. It has been read when this returns."""
    from cilium_py.render.gosort import go_sorted

    found = go_sorted(map(worded, read(each)), lambda pair: compat_order(pair.key, pair.row))
    first = next(found, None)
    return chain([first], found) if first else iter(())


def read(each: PolicyMap) -> Iterator[Pair]:
    try:
        yield from entries.pairs(each)
    except OSError as error:
        raise explained(error, each.path) from error


def worded(pair: Pair) -> Pair:
    return pair._replace(row=compat_row(pair.key, pair.row))


def dumped(pair: Pair) -> GoStruct:
    return compat_entry(*pair)


def labelled(row: Row, view: View) -> Row:
    known = view.labels(row.identity)
    return row._replace(labels=list(known)) if known else row


def write_lines(texts: Iterable[str]) -> None:
    from cilium_py.render.compat import write_lines as write

    write(sys.stdout.buffer, texts)
    sys.stdout.buffer.flush()


def scope_of(endpoint: str) -> str:
    """What the pin of an endpoint's map calls it: 00042; reserved_1 for the word host."""
    if endpoint in RESERVED and endpoint != "unknown":
        return f"reserved_{RESERVED[endpoint]}"
    return f"{number(endpoint, 'an endpoint id', 0xFFFF):05d}"


def tables(where: Settings, words: tuple[str, ...], read_only: bool) -> Iterator[OpenTable[Row]]:
    """The policy maps of one endpoint or of all, their rows with the endpoint."""
    if len(words) > 1:
        raise WrongUsage(f"{' '.join(words)!r}: more than one endpoint", "give one, or none for all")
    found = [entries.map_of(where.pins, scope_of(words[0]))] if words else entries.all_maps(where.pins)
    if not found and where.recording is not None:
        raise MapMissing(f"{where.recording.origin}: no policy map was recorded")
    if not found:
        raise MapMissing(f"{where.paths.globals}: no policy map", "is Cilium running here?")
    for each, table in readable(found, partial(entries.open_map, read_only=read_only)):
        with table:
            table.layout = replace(table.layout, decode=with_endpoint(table.layout.decode, each.endpoint))
            yield table


def with_endpoint(decode: Callable[[Any, Any], Row], endpoint: str) -> Callable[[Any, Any], Row]:
    return lambda key, value: decode(key, value)._replace(endpoint=endpoint)


add_verbs(policy, Target(MAP, "cilium-py bpf policy", tables, "[ENDPOINT]"), delete=False)


@policy.command("add")
@click.argument("words", nargs=-1, metavar="ENDPOINT ingress|egress IDENTITY [PORT[-PORT][/PROTOCOL]]")
@click.option("--deny", is_flag=True, help="deny instead of allowing")
@settings
def add(where: Settings, words: tuple[str, ...], deny: bool) -> None:
    """Allow (or deny) what an identity sends to an endpoint, or the endpoint to it.

    An agent that runs takes the entry out again at its next regeneration.

    \b
    cilium-py bpf policy add 42 ingress world 80/TCP
    cilium-py bpf policy add 42 egress 0 53/UDP --deny
    """
    scope, egress, identity, matches = arguments(words, where.compat)
    with opened(where, scope) as table:
        for l4 in matches:
            entries.put(table, egress, identity, l4, deny=deny)


@policy.command("delete")
@click.argument("words", nargs=-1, metavar="ENDPOINT ingress|egress IDENTITY [PORT[-PORT][/PROTOCOL]]")
@click.option("--deny", is_flag=True, hidden=True, help="accepted for cilium-dbg's sake, without meaning")
@yes_option
@settings
def delete(where: Settings, words: tuple[str, ...], deny: bool, yes: bool, dry_run: bool) -> None:
    """Take an entry out of an endpoint's policy.

    \b
    cilium-py bpf policy delete 42 ingress world 80/TCP --yes
    """
    del deny
    scope, egress, identity, matches = arguments(words, where.compat)
    said = f"{words[1].lower()} {identity} {' '.join(map(str, matches))}"
    confirm(f"Delete {said} from the policy of endpoint {words[0]}?", yes or dry_run)
    with opened(where, scope, read_only=dry_run) as table:
        if dry_run:
            wanted = {entries.key_of(table, egress, identity, l4) for l4 in matches}
            count = sum(key in wanted for key, _ in table.entries())
            click.echo(f"Would delete {count} entries from {table.path}")
        else:
            count = sum(entries.take_out(table, egress, identity, l4) for l4 in matches)
        if not count:
            raise CiliumPyError(f"{table.path}: no entry for {said}")


def opened(where: Settings, scope: str, *, read_only: bool = False) -> Any:
    return entries.open_map(entries.map_of(where.pins, scope), read_only=read_only)


def arguments(words: tuple[str, ...], compat: bool) -> tuple[str, bool, int, list[L4]]:
    """(map's scope, whether egress, identity, what of protocol and port) of the words of add and delete."""
    if not 3 <= len(words) <= 4 and not (compat and len(words) > 4):
        raise WrongUsage("give an endpoint, a direction, an identity, and perhaps a port with its protocol")
    endpoint, direction, identity = words[:3]
    if direction.lower() not in ("ingress", "egress"):
        raise WrongUsage(f"{direction!r} is no direction", "ingress or egress")
    known = None if compat else RESERVED.get(identity.removeprefix("reserved:"))
    peer = number(identity, "an identity", 0xFFFFFFFF) if known is None else known
    l4 = words[3] if len(words) > 3 else None
    matches = compat_matches(l4) if compat else parse_l4(l4 or "")
    return scope_of(endpoint), direction.lower() == "egress", peer, matches


def parse_l4(text: str) -> list[L4]:
    """The prefixes of 80/TCP, 8000-8080/TCP, TCP or ANY; a port without a protocol is one of TCP, UDP and SCTP."""
    if text.upper() in ("", "ANY", "0", "0/ANY"):
        return [EVERYTHING]
    if text.upper() in PROTOCOLS:
        return [L4(PROTOCOLS[text.upper()], 0, 8)]
    span, _, protocol = text.partition("/")
    if protocol.upper() not in ("", "ANY", *PROTOCOLS):
        raise WrongUsage(f"{protocol!r} is no protocol", f"one of {', '.join(PROTOCOLS)}")
    protocols = WITH_PORTS if protocol.upper() in ("", "ANY") else (PROTOCOLS[protocol.upper()],)
    first, dash, last = span.partition("-")
    start = number(first, "a port", LAST_PORT)
    if not dash:
        return [exactly(each, start) if start else L4(each, 0, 8) for each in protocols]
    end = number(last, "the last port of a range", LAST_PORT, least=start)
    return [prefix for each in protocols for prefix in port_range(each, start, end)]


def compat_matches(text: str | None) -> list[L4]:
    """cilium-dbg's reading: without a port above 0, a protocol means nothing and everything is matched."""
    if text is None:
        return [EVERYTHING]
    port, slash, protocol = text.partition("/")
    if "/" in protocol or (slash and protocol.upper() not in ("ANY", "TCP", "UDP", "SCTP", "ICMP", "ICMPV6")):
        raise WrongUsage(f"{text!r}: not a port and protocol", "give one like 80/TCP")
    value = 0 if len(port) <= 15 and SERVICE_NAME.fullmatch(port) else number(port, "a port", LAST_PORT)
    if value == 0:
        return [EVERYTHING]
    if protocol.upper() in ("", "ANY"):
        return [exactly(each, value) for each in FAN_OUT]
    return [exactly(PROTOCOLS[protocol.upper()], value)]
