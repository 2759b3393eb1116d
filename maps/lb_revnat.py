"""Reverse NAT of services: the frontend address that replies get back, by the id of the service.

struct lb4_reverse_nat {            key: __u16 rev_nat_index, network order
    __be32 address;
    __be16 port;
};                                  struct lb6_reverse_nat: address of 16 bytes
"""

from typing import NamedTuple

from cilium_py.schema import Address, GoTable, Layout, MapDef, Pair, Source, Struct, Table, be16, ip4, ip6, layout
from cilium_py.schema.text import bracketed, unmapped


@layout(size=2)
class Key(Struct):
    value: be16


@layout(size=6, c="lb4_reverse_nat")
class Value4(Struct):
    address: ip4
    port: be16


@layout(size=18, c="lb6_reverse_nat")
class Value6(Struct):
    address: ip6
    port: be16


class Row(NamedTuple):
    rev_nat: int
    address: Address
    port: int


def decode(key: Key, value: Value4 | Value6) -> Row:
    return Row(key.value, value.address, value.port)


def cells(row: Row) -> tuple[str, str]:
    return str(row.rev_nat), bracketed(row.address, row.port)


def compat_entry(pair: Pair) -> tuple[str, str]:
    """cilium-dbg has no brackets round an IPv4-mapped address here."""
    row: Row = pair.row
    address = unmapped(row.address)
    return str(row.rev_nat), bracketed(address, row.port)


TITLES = ("ID", "BACKEND ADDRESS (REVNAT_ID) (SLOT)")

MAP = MapDef(
    command=("lb", "revnat"),
    summary="Frontends of services by reverse NAT id",
    row=Row,
    text=Table(TITLES, cells),
    sources=(
        Source("cilium_lb4_reverse_nat", (Layout("1.12", Key, Value4, decode),)),
        Source("cilium_lb6_reverse_nat", (Layout("1.12", Key, Value6, decode),)),
    ),
    order=tuple,
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
