"""`bpf`: a group for every map family, made from its definition unless written by hand."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import click

from cilium_py import maps
from cilium_py.cli.context import Settings
from cilium_py.cli.main import LazyGroup
from cilium_py.families import definitions

BY_HAND = {
    "auth": ("cilium_py.cli.auth", "Mutual authentication entries"),
    "calls": ("cilium_py.cli.calls", "Tail calls and policy programs"),
    "ct": ("cilium_py.cli.ct", "Connection tracking tables"),
    "ipcache": ("cilium_py.cli.ipcache", "Identities and tunnel endpoints of addresses"),
    "lb": ("cilium_py.cli.lb", "Load balancing: services, backends and what belongs to them"),
    "map": ("cilium_py.cli.map", "Every pinned map"),
    "multicast": ("cilium_py.cli.multicast", "Multicast groups and their subscribers"),
    "nat": ("cilium_py.cli.nat", "Source NAT tables"),
    "fs": ("cilium_py.cli.fs", "The BPF filesystem"),
    "policy": ("cilium_py.cli.policy", "Policy maps of endpoints"),
    "stats": ("cilium_py.cli.stats", "What programs cost"),
    "srv6": ("cilium_py.cli.srv6", "Segment routing over IPv6"),
    "sha": ("cilium_py.cli.sha", "Datapath templates"),
}
"""Groups that join maps or read none; every other one comes from a file of `maps/`."""


ALIASES = {"fragments": "frag", "mcast": "multicast", "template": "sha"}


class FamilyGroup(LazyGroup):
    """Finds a command's definition by file name: maps/ipcache.py is `ipcache`, maps/lb_maglev.py is `lb maglev`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = ctx.find_object(Settings)
        if given is not None and given.compat:
            from cilium_py.cli.usage import instead_of, without_global_options

            args = without_global_options(args)
            help = instead_of(args, [name for name in args[:1] if self.get_command(ctx, name) is not None])
            if help is not None:
                click.echo(help, nl=False)
                ctx.exit(0)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(d.command[0] for d in definitions())} - HIDDEN)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        name = ALIASES.get(name, name)
        return super().get_command(ctx, name) or family_command(name)


HIDDEN: frozenset[str] = frozenset()


def family_command(name: str) -> click.Command | None:
    from cilium_py.cli.family import group_of

    wanted = name.replace("-", "_")
    files = sorted(m.name for m in pkgutil.iter_modules(maps.__path__) if m.name.split("_")[0] == wanted)
    found = [import_module(f"{maps.__name__}.{file}").MAP for file in files]
    found = [definition for definition in found if definition.command[0] == name]
    if not found:
        return None
    own = [d for d in found if len(d.command) == 1]
    group = group_of(own[0]) if own else click.Group(name, help=found[0].summary)
    for definition in found:
        if len(definition.command) > 1:
            group.add_command(group_of(definition))
    return group


@click.group(cls=FamilyGroup, lazy=BY_HAND)
def bpf() -> None:
    """Read and edit BPF maps directly.

    \b
    cilium-py bpf ct list global | grep ICMP | head -n4
    cilium-py bpf ipcache get 10.0.0.7
    """
