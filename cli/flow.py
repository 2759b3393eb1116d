"""`flow`: connections with all that belongs to them, and one of them explained."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import click

from cilium_py.cli.agent import agent_clock
from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.ct import tables
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand
from cilium_py.cli.wide import SUBJECT, arrows, duration, list_flows, present_of, who
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.explain.flows import Flow
from cilium_py.explain.known import Known, said
from cilium_py.explain.page import Backend, End, Mapping, Page, Service, page, parse_end, parse_protocol_word
from cilium_py.explain.verdict import Verdict
from cilium_py.policy.rehearsal import Answer
from cilium_py.render import write_value
from cilium_py.render.tabular import lines
from cilium_py.schema.text import protocol_name


@click.group(cls=Group)
def flow() -> None:
    """Connections, each with its service, translation, identities and endpoints.

    \b
    cilium-py flow list
    cilium-py flow explain pod1 10.96.0.10:53 UDP
    """


@flow.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List connections, each once: client -> service -> backend, how far it has got, when it expires, who it is.

    In brackets stand the local endpoints. ENTRIES says what conntrack has: OUT of what leaves an endpoint, IN of what
    enters one, SVC of the choice of a backend.

    \b
    cilium-py flow list
    cilium-py flow list --where 'state == SYN-SENT and remaining < 30'
    cilium-py flow list -o jsonl | jq -r 'select(.service == null).destination'
    """
    form = where.output(output)
    list_flows(where, form, tables(where, (), True), None, present_of(where, agent_clock(where)))


@flow.command("explain")
@click.argument("source", metavar="SRC[:PORT]")
@click.argument("destination", metavar="DST[:PORT]")
@click.argument("protocol", required=False, metavar="[PROTO]")
@click.option("--no-run", is_flag=True, help="do not send a packet through copies of the programs")
@output_option
@settings
def explain(
    where: Settings, source: str, destination: str, protocol: str | None, no_run: bool, output: str | None
) -> None:
    """Show all that the maps say of two ends: addresses, or endpoints by id or name.

    The connections that conntrack has, both ways; the service and its backends; translations and whether each has
    its counterpart; identities; the policy entries that decide; what would become of a new packet. On a live node of
    ours the packet is sent through copies of the endpoints' programs: nothing leaves them.

    \b
    cilium-py flow explain 10.244.1.1 10.244.1.2:80
    cilium-py flow explain pod1 10.96.0.10:53 UDP
    cilium-py --from node1.snap flow explain 10.244.1.1:51234 192.0.2.7:443 -o json
    """
    form = where.output(output)
    with Known(where.pins, where.paths) as known:
        ends = parse_end(source, known), parse_end(destination, known)
        number = parse_protocol_word(protocol, ends[1][1])
        found = page(known, present_of(where, agent_clock(where)), *ends, number)
        answer = None if no_run or where.recording is not None else rehearsed(where, known, found)
        if not form.is_text:
            write_value(sys.stdout.buffer, form, {**found._asdict(), "programs": answer})
            return
        for line in text(found, answer):
            click.echo(line)


def rehearsed(where: Settings, known: Known, found: Page) -> Answer | str | None:
    """What the programs do with the first packet; why that cannot be told; None where it cannot be asked."""
    from ipaddress import ip_address

    from cilium_py.explain.page import ECHO_REQUEST, endpoint_at
    from cilium_py.policy.packet import Packet, echo_request
    from cilium_py.policy.rehearsal import rehearse

    sender = endpoint_at(known, found.source.address)
    behind = [each.address for service in found.services for each in service.backends if each.address is not None]
    receivers = {
        at.id: at
        for address in behind or [found.destination.address]
        if (at := endpoint_at(known, address)) is not None
    }
    if known.node is None or (sender is None and not receivers) or (sender is None and found.services):
        return None
    if len(receivers) > 1:
        return "it may reach one of several endpoints; name one"
    receiver = next(iter(receivers.values()), None)
    one, other = ip_address(found.source.address), ip_address(found.destination.address)
    used, port = found.protocol, found.destination.port or 0
    if used is None:
        used, port = echo_request(other)
    packet = Packet(one, other, used, ECHO_REQUEST.get(used, port))
    try:
        return rehearse(where.paths, known.node, packet, sender, receiver, found.source.identity or 0)
    except (CiliumPyError, OSError, WrongUsage) as error:
        return str(error)


def text(found: Page, answer: Answer | str | None) -> Iterator[str]:
    """The page: who, what would happen, and why, section by section; what there is none of is said, not left out."""
    yield f"From:  {end(found.source)}"
    yield f"To:    {end(found.destination)}"
    if found.protocol is not None:
        yield f"Proto: {protocol_name(found.protocol)}"
    yield ""
    yield f"A new packet: {outcome(found, answer)}"
    elsewhere = f" here, but at {', '.join(found.other_frontends)}" if found.other_frontends else ""
    services = [line for service in found.services for line in service_lines(service)]
    yield from section("Service", services, none=f"none{elsewhere}")
    yield from section("Connections", table(CONNECTION_TITLES, map(connection_cells, found.connections)))
    yield from section("Translations", map(translation_line, found.translations))
    policy = [line for each in found.policy for line in verdict_lines(each)]
    yield from section("Policy", [*policy, *(f"endpoint {each.endpoint}: {each.why}" for each in found.unread)])
    yield from section(
        "Drops on this node, of any flow", [f"{row.packets} {row.reason} ({row.direction})" for row in found.drops]
    )


def section(title: str, found: Iterable[str], none: str = "none") -> Iterator[str]:
    body = list(found)
    yield ""
    if not body:
        yield f"{title}: {none}"
        return
    yield f"{title}:"
    yield from (f"  {line}".rstrip() for line in body)


def table(titles: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    return list(lines(titles, rows, "none", titles_when_empty=False))


def end(found: End) -> str:
    if found.frontend:
        return f"{said(found.address, found.port)}  a service"
    name = "the node itself" if found.host else who(found.identity, found.labels, None)
    number = f", identity {found.identity}" if found.identity is not None else ""
    local = f", endpoint {found.endpoint}" if found.endpoint is not None else ""
    return f"{said(found.address, found.port)}  {name}{number}{local}"


def service_lines(service: Service) -> Iterator[str]:
    flags = ", ".join(service.flag_names)
    yield f"{said(service.address, service.port)}/{service.protocol}, reverse NAT {service.rev_nat} [{flags}]"
    for backend in service.backends:
        yield f"  {backend_text(backend)}"
    if not service.backends:
        yield "  no backends: every packet to it is dropped"


def backend_text(backend: Backend) -> str:
    if backend.address is None:
        return f"slot {backend.slot}: backend {backend.backend_id} is MISSING"
    return f"slot {backend.slot}: {said(backend.address, backend.port)} {backend.state} (backend {backend.backend_id})"


def translation_line(row: Mapping) -> str:
    ends = f"{said(row.source, row.source_port)} -> {said(row.destination, row.destination_port)}"
    back = "answers find back" if row.paired else "its reverse entry is MISSING: answers are lost"
    return f"{row.protocol} {ends} leaves as {said(row.to, row.to_port)}; {back}"


CONNECTION_TITLES = ("ENTRY", "FLOW", "STATE", "LEFT", "EXPIRES", "PACKETS", "BYTES", "FLAGS")


def connection_cells(row: Flow) -> tuple[str, ...]:
    return (
        f"{row.protocol} {'+'.join(row.entries)}{' related' if row.related else ''}", arrows(row), row.state or "-",
        duration(row.remaining), row.expires or "-", str(row.packets), str(row.bytes), " ".join(row.flag_names) or "-",
    )  # fmt: skip


def verdict_lines(each: Verdict) -> Iterator[str]:
    words = {True: "allowed", False: "DENIED", None: "not known: no entry is for it"}
    peer = f"{'to' if each.direction == 'egress' else 'from'} {each.peer}"
    yield f"{each.direction} of endpoint {each.endpoint}, {peer}: {words[each.allowed]}"
    if each.entry:
        extra = f", through the proxy at port {each.proxy_port}" if each.proxy_port else ""
        auth = f", after authentication by {each.auth_type}" if each.auth_type != "disabled" else ""
        counted = f"; {each.packets} packets, {each.bytes} bytes so far" if each.packets is not None else ""
        rank = f", of precedence {each.precedence}" if each.precedence is not None else ""
        yield f"  by the entry: {each.entry}{rank}{extra}{auth}{counted}"
    elif each.enforced is not None:
        yield f"  no entry is for it, and the direction is {'' if each.enforced else 'not '}enforced"


def outcome(found: Page, answer: Answer | str | None) -> str:
    if found.services and not any(backend.state == "active" for each in found.services for backend in each.backends):
        return "dropped, for the service has no active backend"
    if found.source.frontend:
        return "none comes from a service; ask the other way round"
    words = {True: "allowed by policy", False: "denied by policy", None: "no policy of this node is asked"}
    said = words[found.allowed]
    if isinstance(answer, str):
        return f"{said}; the programs could not be asked: {answer}"
    if answer is None:
        return said
    if answer.allowed:
        return f"{said}; the programs let it pass"
    return f"{said}; the programs drop it: {answer.reason or 'without a reason'} ({answer.direction or 'unknown'})"
