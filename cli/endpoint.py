"""`endpoint`: workloads with an interface of their own, and the programs at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from cilium_py.cli.context import Settings, confirm, output_option, say, settings, show, yes_option
from cilium_py.endpoint import store
from cilium_py.endpoint.model import OPTIONS, Endpoint, parse_named_port, parse_option
from cilium_py.errors import RegenerationFailed, WrongUsage
from cilium_py.loader.phases import Phases
from cilium_py.node.config import NodeConfig
from cilium_py.render import write_value
from cilium_py.render.tabular import lines
from cilium_py.schema import Line

if TYPE_CHECKING:
    from cilium_py.endpoint.view import EndpointRow

A = TypeVar("A", IPv4Address, IPv6Address)

TITLES = (
    "ENDPOINT", "POLICY (ingress)", "POLICY (egress)", "IDENTITY", "LABELS (source:key[=value])", "IPv6", "IPv4",
    "STATUS",
)  # fmt: skip
SECOND_TITLES = ("", "ENFORCEMENT", "ENFORCEMENT", "", "", "", "", "")


class PhaseRow(NamedTuple):
    """How long one part of a regeneration took."""

    endpoint: int
    phase: str
    milliseconds: float


def _ids(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    where = _ctx.find_object(Settings) or Settings()
    return [text for text in map(str, store.ids(where.paths)) if text.startswith(incomplete)]


def _address(kind: Callable[[str], A]) -> Callable[[click.Context, click.Parameter, str | None], A | None]:
    def parse(_ctx: click.Context, param: click.Parameter, text: str | None) -> A | None:
        try:
            return kind(text) if text is not None else None
        except AddressValueError as error:
            raise WrongUsage(f"{param.opts[0]} {text!r}: not an address of that kind") from error

    return parse


def _mac(_ctx: click.Context, _param: click.Parameter, text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6 or mac[0] & 1 or not any(mac):
        raise WrongUsage(f"--mac {text!r}: not the MAC address of an interface", hint="02:00:5e:10:00:01, say")
    return mac


def _options(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:
    return dict(map(parse_option, texts))


def _named_ports(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    return dict(map(parse_named_port, texts))


def _complete_options(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    choices = (f"{word}={value}" for word in OPTIONS for value in ("enable", "disable"))
    return [choice for choice in choices if choice.lower().startswith(incomplete.lower())]


id_argument = click.argument("endpoint_id", metavar="ID", type=click.IntRange(1, 65535), shell_complete=_ids)


@click.group()
def endpoint() -> None:
    """Workloads with an interface of their own, and the programs at it.

    \b
    cilium-py endpoint list
    cilium-py endpoint regenerate 1
    """


@endpoint.command()
@click.option("--netns", metavar="NAME|PATH|PID", help="network namespace of the workload")
@click.option("--ifname", default="eth0", show_default=True, help="interface in the workload's namespace")
@click.option("--host-ifname", help="host side of the pair; alone, an interface that is there already")
@click.option("--mac", callback=_mac, help="with --host-ifname alone: MAC address of the workload's side")
@click.option("--ip", "ipv4", metavar="IPV4", callback=_address(IPv4Address), help="IPv4 address [the next free one]")
@click.option("--ipv6", metavar="IPV6", callback=_address(IPv6Address), help="IPv6 address [the next free one]")
@click.option("-l", "--label", "labels", multiple=True, metavar="[SOURCE:]KEY[=VALUE]", help="security label; repeat")
@click.option(
    "--port", "named_ports", multiple=True, metavar="NAME=PORT[/PROTOCOL]", callback=_named_ports,
    help="what rules may call a port of the workload; repeat",
)  # fmt: skip
@click.option("--id", "number", type=click.IntRange(1, 65534), help="endpoint id [the next free one]")
@click.option("--name", help="name of the workload [that of the namespace]")
@click.option("--container-id", default="", help="id of its container")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", callback=_options, shell_complete=_complete_options,
    help="as `endpoint config` takes it; repeat",
)  # fmt: skip
@settings
def add(
    where: Settings,
    netns: str | None,
    ifname: str,
    host_ifname: str | None,
    mac: bytes | None,
    ipv4: IPv4Address | None,
    ipv6: IPv6Address | None,
    labels: tuple[str, ...],
    named_ports: dict[str, tuple[int, int]],
    number: int | None,
    name: str | None,
    container_id: str,
    options: dict[str, int],
) -> None:
    """Give a workload an endpoint: an identity, an interface where there is none, programs at it.

    Asking again for the same changes nothing. Whoever has no policy in a direction that is not enforced may pass;
    IngressEnforcement and EgressEnforcement turn that round.

    \b
    cilium-py endpoint add --netns web --ip 10.244.1.7 --label app=web
    cilium-py endpoint add --netns db --label app=db --option IngressEnforcement=enable
    """
    from cilium_py.endpoint.add import Request
    from cilium_py.endpoint.add import add as add_endpoint

    request = Request(
        name, netns, ifname, host_ifname, ipv4, ipv6, labels, mac, number, container_id, options, named_ports
    )
    made = add_endpoint(where.paths, request)
    addresses = " ".join(map(str, made.addresses))
    click.echo(f"Endpoint {made.id}: {made.name} {addresses} identity {made.identity} interface {made.interface}")


@endpoint.command("list")
@click.option("--no-headers", is_flag=True, help="leave the titles out")
@output_option
@settings
def list_(where: Settings, no_headers: bool, output: str | None) -> None:
    """List endpoints.

    \b
    cilium-py endpoint list
    cilium-py endpoint list -o json | jq -r '.[] | select(.status != "ready").endpoint'
    """
    from cilium_py.endpoint.view import EndpointRow, row

    form = where.output(output)
    node = NodeConfig.load(where.paths)
    rows = [row(where.paths, node, found) for found in store.all(where.paths)]
    if not form.is_text:
        show(form, rows, EndpointRow, Line[EndpointRow](str))
        return
    table = lines(TITLES, [SECOND_TITLES, *(cells for found in rows for cells in _cells(found))])
    for number, line in enumerate(table):
        if number > 1 or not no_headers:
            click.echo(line)


def _cells(found: EndpointRow) -> Iterator[tuple[str, ...]]:
    """The cells of an endpoint, and one more line for each further label."""
    first, *others = found.labels or [""]
    yield (
        str(found.endpoint), found.policy_ingress, found.policy_egress, str(found.identity), first, found.ipv6,
        found.ipv4, found.status,
    )  # fmt: skip
    for label in others:
        yield ("", "", "", "", label, "", "", "")


@endpoint.command()
@id_argument
@output_option
@settings
def get(where: Settings, endpoint_id: int, output: str | None) -> None:
    """Show everything about an endpoint, as JSON unless asked otherwise.

    \b
    cilium-py endpoint get 1 -o jsonpath='{[0].status.networking.mac}'
    """
    from cilium_py.endpoint.view import document

    form = where.output(output)
    found = store.load(where.paths, endpoint_id)
    shown = [document(where.paths, NodeConfig.load(where.paths), found)]
    write_value(sys.stdout.buffer, form, shown)


@endpoint.command()
@id_argument
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...", callback=_options, shell_complete=_complete_options)
@settings
def config(where: Settings, endpoint_id: int, changes: dict[str, int]) -> None:
    """Show or change the options of an endpoint. A change is in force when the command returns.

    \b
    cilium-py endpoint config 1
    cilium-py endpoint config 1 IngressEnforcement=enable Debug=disable
    """
    if changes:
        from cilium_py.endpoint.regenerate import Build, regenerate

        regenerate(where.paths, endpoint_id, Build(options=changes))
        click.echo(f"Endpoint {endpoint_id} configuration updated successfully")
        return
    for word, value in store.load(where.paths, endpoint_id).options.items():
        shown = str(value) if word.endswith("Level") else ("Disabled", "Enabled")[value]
        click.echo(f"{word:<27}: {shown}")


@endpoint.command()
@click.argument("endpoint_id", metavar="[ID]", type=click.IntRange(1, 65535), required=False, shell_complete=_ids)
@click.option("--all", "everything", is_flag=True, help="every endpoint of the node")
@click.option("--compile", "compiled", is_flag=True, help="build from source with clang, not from the prebuilt object")
@click.option("--llc", is_flag=True, help="with --compile: clang -emit-llvm, then llc")
@output_option
@settings
def regenerate(
    where: Settings, endpoint_id: int | None, everything: bool, compiled: bool, llc: bool, output: str | None
) -> None:
    """Rewrite an endpoint's headers, load its programs anew and swap them in; no packet is lost.

    Returns when the new program runs, having said how long each phase took, or fails and leaves the old one.

    \b
    cilium-py endpoint regenerate 1
    cilium-py endpoint regenerate --all -o json
    """
    if everything == (endpoint_id is not None):
        raise WrongUsage("name one endpoint, or say --all", hint="cilium-py endpoint list")
    if llc and not compiled:
        raise WrongUsage("--llc is a way to compile", hint="add --compile")
    wanted = store.ids(where.paths) if endpoint_id is None else [endpoint_id]
    failures: list[RegenerationFailed] = []
    show(where.output(output), _regenerate(where, wanted, compiled, llc, failures), PhaseRow, Line(_phase))
    if failures:
        for failure in failures[:-1]:
            say(f"error: {failure.message}")
        raise failures[-1]


def _regenerate(
    where: Settings, wanted: list[int], compiled: bool, llc: bool, failures: list[RegenerationFailed]
) -> Iterator[PhaseRow]:
    """Regenerate each endpoint, and tell of its phases; an endpoint that fails does not keep others from it."""
    from cilium_py.endpoint.regenerate import Build
    from cilium_py.endpoint.regenerate import regenerate as regenerate_endpoint

    compiler = None
    if compiled:
        from cilium_py.loader.compiler import Compiler

        compiler = Compiler.find(llc=llc)
    for number in wanted:
        phases = Phases()
        try:
            regenerate_endpoint(where.paths, number, Build(compiler=compiler, phases=phases))
        except RegenerationFailed as error:
            failures.append(error)
        for name, seconds in phases.seconds.items():
            yield PhaseRow(number, name, round(seconds * 1000, 3))


def _phase(found: PhaseRow) -> str:
    text = f"endpoint {found.endpoint}: {found.phase:<18}{found.milliseconds:>10.1f} ms"
    return f"{text}\nEndpoint {found.endpoint} successfully regenerated" if found.phase == "total" else text


@endpoint.command()
@id_argument
@yes_option
@settings
def delete(where: Settings, endpoint_id: int, yes: bool, dry_run: bool) -> None:
    """Take an endpoint away: programs, maps, entries, identity, and the interface if `add` made it.

    \b
    cilium-py endpoint delete 7 --dry-run
    cilium-py endpoint delete 7 --yes
    """
    from cilium_py.endpoint.delete import delete as delete_endpoint

    found = store.load(where.paths, endpoint_id)
    if dry_run:
        click.echo(f"would delete {_described(found)}")
        return
    confirm(f"Delete {_described(found)}?", yes)
    delete_endpoint(where.paths, endpoint_id)
    click.echo(f"Endpoint {endpoint_id} deleted")


def _described(found: Endpoint) -> str:
    where = f"interface {found.interface}" + ("" if found.owns_interface else " (which stays)")
    return f"endpoint {found.id}: {found.name} {' '.join(map(str, found.addresses))}, {where}"
