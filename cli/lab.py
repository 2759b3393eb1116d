"""`lab`: nodes and pods as network namespaces."""

from __future__ import annotations

import click

from cilium_py.cli.context import Settings, output_option, say, settings, show
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.lab import DEFAULT_ROOT, Lab
from cilium_py.lab.survey import Part, parts
from cilium_py.schema import Table

COLUMNS = Table[Part](
    ("NAME", "KIND", "NODE", "ENDPOINT", "IPv4", "IPv6", "NETNS", "PROCESSES"),
    lambda row: (
        row.name, row.kind, row.node, str(row.endpoint or "-"), row.ipv4 or "-", row.ipv6 or "-", row.netns,
        str(row.processes),
    ),
)  # fmt: skip


@click.group()
def lab() -> None:
    """Nodes and pods as network namespaces on this machine, to try things.

    \b
    cilium-py lab up
    cilium-py lab exec pod1 -- ping -c3 pod2
    cilium-py lab down
    """


@lab.command()
@click.option("--nodes", metavar="N", default=1, show_default=True, help="nodes, joined by a bridge")
@click.option("--pods", metavar="N", default=2, show_default=True, help="pods on each node")
@click.option("--ipv4/--no-ipv4", default=True, show_default=True, help="with IPv4 addresses")
@click.option("--ipv6/--no-ipv6", default=True, show_default=True, help="with IPv6 addresses")
@click.option("--health", is_flag=True, help="with a health endpoint and a prober on each node")
def up(nodes: int, pods: int, ipv4: bool, ipv6: bool, health: bool) -> None:
    """Make a lab. What an unfinished one left behind is removed first.

    Pods are called pod1, pod2, ... across the nodes, and know each other by these names. `world` is a host outside
    the cluster.

    \b
    cilium-py lab up
    cilium-py lab up --nodes 2 --pods 3 --no-ipv6
    cilium-py lab up --nodes 3 --health
    """
    from cilium_py.lab import build

    made = build.up(Lab.planned(nodes, pods, ipv4=ipv4, ipv6=ipv6))
    if health:
        from cilium_py.lab.health import start

        start(made)
    nodes_made, pods_made = (", ".join(names) for names in (made.node_names, [pod.name for pod in made.pods]))
    say(f"running: {nodes_made} with {pods_made or 'no pods'}")


@lab.command()
@output_option
@settings
def status(where: Settings, output: str | None) -> None:
    """List the nodes and pods of the lab; exit 1 if none is running.

    \b
    cilium-py lab status
    cilium-py lab status -o json | jq -r '.[] | select(.kind == "pod").ipv4'
    """
    show(where.output(output), parts(Lab.running()), Part, COLUMNS)


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("where", metavar="POD|NODE|world", shell_complete=lambda *_: _names())
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(where: str, command: tuple[str, ...]) -> None:
    """Run a command in a pod, on a node, or in the world outside; its exit code is ours.

    On a node, and in a pod of it, cilium-py is about that node.

    \b
    cilium-py lab exec pod1 -- ping -c3 pod2
    cilium-py lab exec node1 -- ip route
    """
    from cilium_py.lab import command as inside

    argv = command[1:] if command[0] == "--" else command
    if not argv or not argv[0]:
        raise WrongUsage("no command to run", "cilium-py lab exec pod1 -- ping -c3 pod2")
    try:
        inside.become(Lab.running(), where, argv)
    except FileNotFoundError as error:
        raise CiliumPyError(f"{argv[0]}: no such command") from error


@lab.command()
def down() -> None:
    """End what runs in the lab and remove all of it, an unfinished one too.

    \b
    cilium-py lab down
    """
    from cilium_py.lab import teardown

    if not teardown.down(DEFAULT_ROOT):
        say("no lab is running")


def _names() -> list[str]:
    found = Lab.find()
    return [*found.node_names, *(pod.name for pod in found.pods), "world"] if found else []
