"""`node init` and `node remove`: this machine as a node."""

from __future__ import annotations

import socket
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, NetmaskValueError

import click

from cilium_py.cli.context import Settings, confirm, settings, yes_option
from cilium_py.cli.parameters import address
from cilium_py.endpoint import store
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.node.config import Family4, Family6, NodeConfig
from cilium_py.node.roster import checked_name

LEAST_PODS = 4
"""Addresses in the smallest range that has room for a router and an endpoint."""


@click.command()
@click.option("--name", metavar="NAME", help="name of the node [the host's]")
@click.option("--ip", "ipv4", metavar="IPV4", callback=address(IPv4Address), help="the node's IPv4 address")
@click.option("--pods", metavar="CIDR", help="IPv4 range of its endpoints; the last but one is its router")
@click.option("--ipv6", metavar="IPV6", callback=address(IPv6Address), help="the node's IPv6 address")
@click.option("--pods6", metavar="CIDR", help="IPv6 range of its endpoints; ::fe in it is its router")
@click.option(
    "--mtu", metavar="BYTES", default=1500, show_default=True, type=click.IntRange(576, 65535), help="of the endpoints"
)
@click.option("--attach", default="auto", type=click.Choice(["auto", "tcx", "tc"]), help="how programs are attached")
@settings
def init(
    where: Settings,
    name: str | None,
    ipv4: IPv4Address | None,
    pods: str | None,
    ipv6: IPv6Address | None,
    pods6: str | None,
    mtu: int,
    attach: str,
) -> None:
    """Make this machine a node: router devices, global maps, state directory.

    Forwarding is switched on and reverse path filtering off. Asking again completes what was cut short.

    \b
    cilium-py node init --ip 192.0.2.10 --pods 10.244.7.0/24
    """
    from cilium_py.node import setup

    node = NodeConfig(
        name=checked_name(name or socket.gethostname()),
        ipv4=_family4(ipv4, pods),
        ipv6=_family6(ipv6, pods6),
        mtu=mtu,
        attach=attach,
    )
    if not node.families:
        raise WrongUsage(
            "a node has an address and a range of endpoints", hint="--ip and --pods, or --ipv6 and --pods6"
        )
    made = setup.init(where.paths, node)
    click.echo(f"Node {made.name}: " + ", ".join(f"router {f.router}, endpoints {f.pods}" for f in made.families))


@click.command()
@yes_option
@settings
def remove(where: Settings, yes: bool, dry_run: bool) -> None:
    """Take this node away: its devices, maps and state. Its endpoints are to be deleted before.

    \b
    cilium-py node remove --dry-run
    """
    from cilium_py.node import setup

    node = NodeConfig.load(where.paths)
    if left := store.ids(where.paths):
        raise CiliumPyError(
            f"node {node.name} still has endpoints: {', '.join(map(str, left))}", hint="cilium-py endpoint delete ID"
        )
    if dry_run:
        click.echo(f"Would remove node {node.name}, its maps in {where.paths.globals}, and {where.paths.state_dir}")
        return
    confirm(f"Remove node {node.name}?", yes)
    setup.remove(where.paths)
    click.echo(f"Node {node.name} removed")


def _family4(own: IPv4Address | None, pods: str | None) -> Family4 | None:
    if own is None and pods is None:
        return None
    try:
        network = IPv4Network(pods or "")
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise WrongUsage(f"--pods {pods!r}: not an IPv4 range", hint="--ip and --pods belong together") from error
    if own is None or network.num_addresses < LEAST_PODS or own in network:
        raise WrongUsage(f"--pods {pods}: needs --ip, an address outside of it, and room for a router")
    return Family4(own, network[-2], network)


def _family6(own: IPv6Address | None, pods: str | None) -> Family6 | None:
    if own is None and pods is None:
        return None
    try:
        network = IPv6Network(pods or "")
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise WrongUsage(f"--pods6 {pods!r}: not an IPv6 range", hint="--ipv6 and --pods6 belong together") from error
    if own is None or network.num_addresses <= 0xFE or own in network:
        raise WrongUsage(f"--pods6 {pods}: needs --ipv6, an address outside of it, and room for a router")
    return Family6(own, network[0xFE], network)
