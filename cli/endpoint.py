"""`endpoint`: workloads with an interface of their own, and the programs at it."""

from __future__ import annotations

import click

from cilium_py.cli.main import LazyGroup

ALIASES = {"inspect": "get", "ls": "list", "show": "get"}
IN_FILES = {
    "add": ("cilium_py.cli.endpoint_add", "Give a workload an endpoint"),
    "config": ("cilium_py.cli.endpoint_change", "Show or change the options of an endpoint"),
    "count": ("cilium_py.cli.endpoint_show", "Count what is listed"),
    "delete": ("cilium_py.cli.endpoint_change", "Take an endpoint away"),
    "disconnect": ("cilium_py.cli.endpoint_change", "Disconnect a workload from the network"),
    "get": ("cilium_py.cli.endpoint_show", "Show everything about an endpoint"),
    "health": ("cilium_py.cli.endpoint_show", "Show how an endpoint is, and what of it is missing"),
    "labels": ("cilium_py.cli.endpoint_change", "Show or change the labels of an endpoint"),
    "list": ("cilium_py.cli.endpoint_show", "List endpoints"),
    "log": ("cilium_py.cli.endpoint_show", "Show what happened to an endpoint"),
    "regenerate": ("cilium_py.cli.endpoint_regenerate", "Load an endpoint's programs anew"),
    "restore": ("cilium_py.cli.endpoint_regenerate", "Find endpoints again after a reboot"),
    "watch": ("cilium_py.cli.endpoint_show", "Show what comes, goes and changes"),
}


class EndpointGroup(LazyGroup):
    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(name, name))


@click.group(cls=EndpointGroup, lazy=IN_FILES)
def endpoint() -> None:
    """Workloads with an interface of their own, and the programs at it.

    Wherever an ID is asked for, container-name:web, container-id:0f3a, pod-name:default:web, ipv4:10.244.1.7 and
    ipv6:fd10::7 are understood too.

    \b
    cilium-py endpoint list
    cilium-py endpoint regenerate 1
    """
