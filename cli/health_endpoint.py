"""`health endpoint`: the endpoint of the node that answers probes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.parameters import address
from cilium_py.health.endpoint import HealthEndpoint
from cilium_py.health.hello import PORT
from cilium_py.schema import Table

COLUMNS = Table[HealthEndpoint](
    ("ENDPOINT", "IPv4", "IPv6", "NETNS", "INTERFACE", "STATE", "RESPONDER"),
    lambda row: (
        str(row.endpoint or "-"), row.ipv4 or "-", row.ipv6 or "-", row.netns, row.interface, row.state,
        f"pid {row.responder}" if row.responder else "not running",
    ),
)  # fmt: skip


@click.group()
def endpoint() -> None:
    """The node's health endpoint: an endpoint like any other, with identity 4 and a responder inside.

    \b
    cilium-py health endpoint add
    cilium-py health endpoint status
    """


@endpoint.command()
@click.option("--ip", "ipv4", metavar="IPV4", callback=address(IPv4Address), help="IPv4 address [the next free one]")
@click.option("--ipv6", metavar="IPV6", callback=address(IPv6Address), help="IPv6 address [the next free one]")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="port of the responder",
)
@click.option("--relaunch", is_flag=True, help="remove the one that is there first, and make it anew")
@settings
def add(where: Settings, ipv4: IPv4Address | None, ipv6: IPv6Address | None, port: int, relaunch: bool) -> None:
    """Make the health endpoint and start its responder. Asking again completes what is missing.

    \b
    cilium-py health endpoint add
    cilium-py health endpoint add --relaunch
    """
    from cilium_py.health import endpoint as health_endpoint

    paths = where.paths
    made = health_endpoint.relaunch(paths) if relaunch else health_endpoint.add(paths, ipv4, ipv6, port)
    addresses = " ".join(map(str, made.addresses))
    click.echo(f"Health endpoint {made.id}: {addresses} identity {made.identity} interface {made.interface}")


@endpoint.command()
@yes_option
@settings
def delete(where: Settings, yes: bool, dry_run: bool) -> None:
    """End the responder and remove the health endpoint with all that belongs to it.

    \b
    cilium-py health endpoint delete --yes
    """
    from cilium_py.health import endpoint as health_endpoint

    found = health_endpoint.required(where.paths)
    described = f"health endpoint {found.id or ''} {' '.join(map(str, found.addresses))}".strip()
    if dry_run:
        click.echo(f"Would delete {described}")
        return
    confirm(f"Delete {described}?", yes)
    health_endpoint.delete(where.paths)
    click.echo(f"deleted {described}")


@endpoint.command()
@output_option
@settings
def status(where: Settings, output: str | None) -> int:
    """Show the health endpoint; exit 1 if it is not ready or its responder does not run.

    \b
    cilium-py health endpoint status -o json | jq '.[0].responder'
    """
    from cilium_py.health import endpoint as health_endpoint

    if where.recording is None:
        found = health_endpoint.status(where.paths)
    else:
        from cilium_py.offline import answers

        found = answers.responder(where.paths)
    show(where.output(output), [found], HealthEndpoint, COLUMNS)
    return 0 if found.state == "ready" and found.responder else 1
