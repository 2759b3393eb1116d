"""`endpoint add`: a workload gets an endpoint."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import click

from cilium_py.cli import parameters
from cilium_py.cli.context import Settings, settings
from cilium_py.cli.parameters import address, complete_options
from cilium_py.endpoint.model import parse_named_port


def _named_ports(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    return dict(map(parse_named_port, texts))


@click.command()
@click.option("--netns", metavar="NAME|PATH|PID", help="network namespace of the workload")
@click.option(
    "--ifname", metavar="NAME", default="eth0", show_default=True, help="interface in the workload's namespace"
)
@click.option("--host-ifname", metavar="NAME", help="host side of the pair; alone, an interface that is there already")
@click.option(
    "--mac", metavar="MAC", callback=parameters.mac, help="with --host-ifname alone: MAC address of the workload's side"
)
@click.option("--ip", "ipv4", metavar="IPV4", callback=address(IPv4Address), help="IPv4 address [the next free one]")
@click.option("--ipv6", metavar="IPV6", callback=address(IPv6Address), help="IPv6 address [the next free one]")
@click.option("-l", "--label", "labels", multiple=True, metavar="[SOURCE:]KEY[=VALUE]", help="security label; repeat")
@click.option(
    "--port", "named_ports", multiple=True, metavar="NAME=PORT[/PROTOCOL]", callback=_named_ports,
    help="what rules may call a port of the workload; repeat",
)  # fmt: skip
@click.option("--id", "number", metavar="ID", type=click.IntRange(1, 65534), help="endpoint id [the next free one]")
@click.option("--name", metavar="NAME", help="name of the workload [that of the namespace]")
@click.option("--container-id", metavar="ID", default="", help="id of its container")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", callback=parameters.options,
    shell_complete=complete_options, help="as `endpoint config` takes it; repeat",
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
