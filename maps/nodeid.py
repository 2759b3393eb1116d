"""Node ids: a 16-bit number for every address of every node of the cluster.

struct node_key {                   struct node_value {
    __u16 pad1; __u8 pad2;              __u16 id;
    __u8  family;                       __u8  spi, pad;
    union { __u32 ip4;              };
            union v6addr ip6; };
};

An IPv4 address lies in the first four bytes of the union. 1.14 and 1.15 had no SPI; 1.16 wrote both maps.
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    b16,
    layout,
    pad1,
    pad3,
    u8,
    u16,
)
from cilium_py.schema.text import go_ip

FAMILY_4, FAMILY_6 = 1, 2


@layout(size=20, c="node_key")
class Key(Struct):
    pad: pad3
    family: u8
    ip6: b16


@layout(size=4, c="node_value")
class Value(Struct):
    id: u16
    spi: u8
    pad: pad1


@layout(size=2)
class ValueWithoutSpi(Struct):
    """The value of cilium_node_map."""

    id: u16


class Row(NamedTuple):
    node_id: int
    address: Address
    spi: int | None
    """Of IPsec, since 1.16."""


def decode(key: Key, value: Value) -> Row:
    return Row(value.id, key.ip6[:4] if key.family == FAMILY_4 else key.ip6, value.spi)


def decode_without_spi(key: Key, value: ValueWithoutSpi) -> Row:
    return Row(value.id, key.ip6[:4] if key.family == FAMILY_4 else key.ip6, None)


def order(row: Row) -> tuple[object, ...]:
    return row.node_id, len(row.address), row


def cells(row: Row) -> tuple[str, ...]:
    return f"{row.node_id:#x}", go_ip(row.address), str(row.spi or 0)


ITEM = GoType("ID", "Address", "SPI")


def compat_item(pair: Pair) -> GoStruct:
    return ITEM(pair.row.node_id, go_ip(pair.row.address), pair.row.spi or 0)


MAP = MapDef(
    command=("nodeid",),
    summary="Ids of the cluster's nodes",
    row=Row,
    text=Table(("NODE ID", "IP ADDRESSES", "SPI"), cells, padded="none", titles_when_empty=False),
    sources=(
        Source("cilium_node_map_v2", (Layout("1.16", Key, Value, decode),), replaces="cilium_node_map"),
        Source("cilium_node_map", (Layout("1.14", Key, ValueWithoutSpi, decode_without_spi),)),
    ),
    order=order,
    compat=GoList(compat_item, empty_if_of_other_size=True),
)
