"""`node`: the nodes that this node knows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, yes_option
from cilium_py.cli.groups import Group
from cilium_py.cli.node_setup import init, remove
from cilium_py.cli.parameters import address
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, list_rows
from cilium_py.errors import WrongUsage
from cilium_py.node import peers
from cilium_py.node.config import NodeConfig
from cilium_py.node.roster import DEFAULT_CLUSTER, Address, KnownNode, checked_name
from cilium_py.paths import NodePaths
from cilium_py.schema import Address as Packed
from cilium_py.schema import Table
from cilium_py.schema.text import ip


class NodeRow(NamedTuple):
    """One node."""

    name: str
    local: bool
    """Whether it is the node that is asked."""
    ipv4: Packed | None
    ipv6: Packed | None
    health_ipv4: Packed | None
    """Address of its health endpoint, as the next."""
    health_ipv6: Packed | None
    secondary: list[str]


COLUMNS = Table[NodeRow](
    ("NAME", "IPv4", "IPv6", "HEALTH IPv4", "HEALTH IPv6", "SECONDARY"),
    lambda row: (
        row.name + (" (localhost)" if row.local else ""),
        *(ip(each) if each else "-" for each in (row.ipv4, row.ipv6, row.health_ipv4, row.health_ipv6)),
        ",".join(row.secondary) or "-",
    ),
)
SUBJECT = Subject("node", NodeRow)


def _addresses(_ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[Address, ...]:
    try:
        return tuple(map(ip_address, texts))
    except ValueError as error:
        raise WrongUsage(f"{param.opts[0]}: {error}") from error


def _names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    paths = (ctx.find_object(Settings) or Settings()).paths
    names = (node.full_name for node in NodeConfig.load(paths).roster(paths).all())
    return [name for name in names if name.startswith(incomplete)]


@click.group(cls=Group)
def node() -> None:
    """The nodes of the cluster, as this node knows them.

    \b
    cilium-py node list
    cilium-py node add node4 --ip 172.30.0.4
    """


@node.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List the nodes and the addresses of their health endpoints.

    \b
    cilium-py node list
    cilium-py node list --where 'not local and health_ipv4 == none'
    cilium-py node list -o json | jq -r '.[].ipv4'
    """
    list_rows(where, where.output(output), rows_of(where), NodeRow, COLUMNS)


def rows_of(where: Settings) -> Iterator[NodeRow]:
    """The nodes that the node knows, or the recorded one knew, itself among them."""
    config = NodeConfig.load(where.paths)
    known = config.roster(where.paths).all()
    own = config.introduction()
    if all(found.full_name != own.full_name for found in known):
        known.insert(0, own)
    return (
        NodeRow(
            found.full_name, found.full_name == own.full_name,
            _packed(found.ipv4), _packed(found.ipv6), _packed(found.health_ipv4), _packed(found.health_ipv6),
            [str(address) for address in found.secondary],
        )
        for found in known
    )  # fmt: skip


LISTED = Listed("cilium-py node", SUBJECT, rows_of, ("name",), COLUMNS, "--where 'health_ipv4 == none'")
add_verbs(node, LISTED)


def _packed(address: Address | None) -> bytes | None:
    return address.packed if address is not None else None


@node.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--cluster", metavar="NAME", default=DEFAULT_CLUSTER, show_default=True, help="cluster that the node is in"
)
@click.option("--ip", "ipv4", metavar="IPV4", callback=address(IPv4Address), help="IPv4 address")
@click.option("--ipv6", metavar="IPV6", callback=address(IPv6Address), help="IPv6 address")
@click.option("--secondary", multiple=True, metavar="IP", callback=_addresses, help="a further address; repeat")
@click.option("--health-ip", metavar="IPV4", callback=address(IPv4Address), help="IPv4 address of its health endpoint")
@click.option("--health-ipv6", metavar="IPV6", callback=address(IPv6Address), help="likewise IPv6")
@settings
def add(
    where: Settings,
    name: str,
    cluster: str,
    ipv4: IPv4Address | None,
    ipv6: IPv6Address | None,
    secondary: tuple[Address, ...],
    health_ip: IPv4Address | None,
    health_ipv6: IPv6Address | None,
) -> None:
    """Make a node known, or change what is known of it. A prober that runs takes it up by itself.

    \b
    cilium-py node add node4 --ip 172.30.0.4 --health-ip 10.244.4.9
    cilium-py node add far --cluster other --ipv6 fd31::7
    """
    found = KnownNode(
        checked_name(name), checked_name(cluster), ipv4, ipv6, secondary, health_ip, health_ipv6
    )  # fmt: skip
    config = NodeConfig.load(where.paths)
    roster = config.roster(where.paths)
    before = [other for other in (roster.find(found.full_name),) if other is not None]
    roster.put(found)
    _tell_maps(where.paths, config, before, [found])
    click.echo(f"Node {found.full_name} {'changed' if before else 'added'}")


@node.command()
@click.argument("name", metavar="NAME", shell_complete=_names)
@yes_option
@settings
def delete(where: Settings, name: str, yes: bool, dry_run: bool) -> None:
    """Forget a node.

    \b
    cilium-py node delete node4 --yes
    """
    config = NodeConfig.load(where.paths)
    roster = config.roster(where.paths)
    if name == config.introduction().full_name:
        raise WrongUsage(f"{name}: the node itself")
    if dry_run:
        click.echo(f"Would delete node {name}")
        return
    confirm(f"Delete node {name}?", yes)
    _tell_maps(where.paths, config, [roster.remove(name)], [])
    click.echo(f"Node {name} deleted")


def _tell_maps(paths: NodePaths, config: NodeConfig, before: list[KnownNode], after: list[KnownNode]) -> None:
    with contextlib.suppress(FileNotFoundError):
        # A node without programs yet has no map of identities.
        peers.sync(paths, config, before, after)


node.add_command(init)
node.add_command(remove)
