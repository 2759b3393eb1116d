"""`srv6`: the maps of segment routing. As in cilium-dbg, the name of a map lists it."""

from __future__ import annotations

import errno
from typing import Any

import click

from cilium_py.bpf.directory import pins_of
from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.family import layout_option
from cilium_py.cli.groups import Group
from cilium_py.cli.select import SelectingCommand, Subject, list_family
from cilium_py.maps import srv6_policy, srv6_sid, srv6_state, srv6_vrf
from cilium_py.schema import MapDef
from cilium_py.table import Family, explained


@click.group(cls=Group, aliases={"pol": "policy", "ctx": "vrf"})
def srv6() -> None:
    """Segment routing over IPv6."""


@srv6.command(cls=SelectingCommand, subject=Subject.of(srv6_policy.MAP), arranges=True)
@output_option
@layout_option(srv6_policy.MAP)
@settings
def policy(where: Settings, output: str | None, layout: str | None) -> None:
    """List the segments that the traffic of a VRF is sent to.

    \b
    cilium-py bpf srv6 policy
    cilium-py bpf srv6 policy -o json | jq '.[] | select(.vrf == 1)'
    """
    list_map(where, srv6_policy.MAP, output, layout)


@srv6.command(cls=SelectingCommand, subject=Subject.of(srv6_sid.MAP), arranges=True)
@output_option
@layout_option(srv6_sid.MAP)
@settings
def sid(where: Settings, output: str | None, layout: str | None) -> None:
    """List the segments of this node and the VRF of each.

    \b
    cilium-py bpf srv6 sid
    cilium-py bpf srv6 sid -o jsonpath='{[*].sid}'
    """
    list_map(where, srv6_sid.MAP, output, layout)


@srv6.command(cls=SelectingCommand, subject=Subject.of(srv6_state.MAP), arranges=True)
@output_option
@layout_option(srv6_state.MAP)
@settings
def state(where: Settings, output: str | None, layout: str | None) -> None:
    """List flows and their outer addresses, of releases up to 1.15.

    \b
    cilium-py bpf srv6 state
    cilium-py bpf srv6 state -o jsonl
    """
    list_map(where, srv6_state.MAP, output, layout)


@srv6.command(cls=SelectingCommand, subject=Subject.of(srv6_vrf.MAP), arranges=True)
@output_option
@layout_option(srv6_vrf.MAP)
@settings
def vrf(where: Settings, output: str | None, layout: str | None) -> None:
    """List the VRF of each source and destination.

    \b
    cilium-py bpf srv6 vrf
    cilium-py bpf srv6 vrf -o csv
    """
    list_map(where, srv6_vrf.MAP, output, layout)


def list_map(where: Settings, definition: MapDef[Any], output: str | None, layout: str | None) -> None:
    """List one map; in compat only where both address families are there."""
    form = where.output(output)
    if where.compat:
        for source in definition.sources:
            if source.pin not in pins_of(where.pins).names():
                raise explained(OSError(errno.ENOENT, ""), pins_of(where.pins).path(source.pin))
    list_family(where, form, Family(definition, where.pins, layout))
