"""`ct get` and `nat get`: one connection by its ends, one lookup for each direction that it may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from cilium_py.cli.context import Settings, output_option, settings, show
from cilium_py.cli.groups import Group
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, TUPLE_SERVICE
from cilium_py.schema import MapDef, Source
from cilium_py.schema.form import Columns
from cilium_py.schema.text import number, parse_ip, parse_protocol, unmapped
from cilium_py.table import open_source

DIRECTIONS = {"OUT": TUPLE_OUT, "IN": TUPLE_IN, "SVC": TUPLE_SERVICE}


class End(NamedTuple):
    address: bytes
    port: int


def end(text: str) -> End:
    """Of 10.0.0.1:443 and [fd00::1]:443, or fd00::1:443 as lists print it. Raises WrongUsage."""
    address, colon, port = text.rpartition(":")
    if not colon:
        raise WrongUsage(f"{text!r} has no port", "give an address and a port, such as 10.0.0.1:443")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return End(unmapped(parse_ip(address)), number(port, "a port", 0xFFFF))


def turned(source: End, destination: End, flags: int) -> dict[str, int | bytes]:
    """The key of conntrack, which has a flow turned round and a service's entry as it is."""
    if flags == TUPLE_SERVICE:
        return {"saddr": source.address, "dport": source.port, "daddr": destination.address, "sport": destination.port}
    return {"daddr": source.address, "sport": source.port, "saddr": destination.address, "dport": destination.port}


def straight(source: End, destination: End, _flags: int) -> dict[str, int | bytes]:
    """The key of NAT."""
    return {"saddr": source.address, "sport": source.port, "daddr": destination.address, "dport": destination.port}


def add_get(
    group: Group, definition: MapDef[Any], source_of: Callable[[int, int], Source[Any]],
    key_of: Callable[[End, End, int], dict[str, int | bytes]], directions: tuple[str, ...],
    columns_of: Callable[[Settings], Columns | None] = lambda _: None,
) -> None:  # fmt: skip
    """Give a group the verb; `source_of` has the table of an address family and a protocol."""
    path = f"cilium-py bpf {' '.join(definition.command)}"
    listed = ", ".join(directions)
    help = (
        f"Show the entry of one connection, in each direction that there is.\n\n\b\n"
        f"{path} get 10.0.0.1:40000 10.0.1.7:443\n{path} get 10.0.0.1:5353 10.0.0.2:53 UDP --dir {directions[0]}"
    )

    @group.command("get", help=help)
    @click.argument("source")
    @click.argument("destination")
    @click.argument("protocol", default="TCP")
    @click.option("--dir", "direction", metavar="NAME", help=f"one direction alone, one lookup: {listed}")
    @output_option
    @settings
    def command(
        where: Settings, source: str, destination: str, protocol: str, direction: str | None, output: str | None
    ) -> None:
        if direction is not None and direction.upper() not in directions:
            raise WrongUsage(f"{direction!r} is no direction", f"one of {listed}")
        ends, carried = (end(source), end(destination)), parse_protocol(protocol)
        if len(ends[0].address) != len(ends[1].address):
            raise WrongUsage(f"{source} and {destination}: addresses of two families")
        wanted = directions if direction is None else (direction.upper(),)
        rows = list(_found(where, wanted, ends, carried))
        if not rows:
            said = f"{source} -> {destination} {protocol.upper()}"
            raise CiliumPyError(f"no entry of {said}", f"{path} list --src and --dst find those with other ports")
        show(where.output(output), rows, definition.row, definition.text)

    def _found(where: Settings, wanted: tuple[str, ...], ends: tuple[End, End], protocol: int) -> Iterator[Any]:
        from cilium_py.schema.decoder import amended

        columns = columns_of(where)
        with open_source(source_of(4 if len(ends[0].address) == 4 else 6, protocol), where.pins) as table:
            if columns:
                table.layout = amended(table.layout, columns)
            for flags in (DIRECTIONS[name] for name in wanted):
                fields = key_of(*ends, flags)
                row = table.get(table.layout.key(**fields, nexthdr=protocol, flags=flags))
                if row is not None:
                    yield row
