"""Neighbours of NodePort traffic: the MAC that a client's packets came from. struct: address -> union macaddr."""

from typing import NamedTuple

from cilium_py.schema import Address, Layout, Mac, MapDef, Source, Struct, Table, ip4, ip6, layout, mac8
from cilium_py.schema.text import ip, mac


@layout(size=4)
class Key4(Struct):
    value: ip4


@layout(size=16)
class Key6(Struct):
    value: ip6


@layout(size=8, c="macaddr")
class Value(Struct):
    addr: mac8


class Row(NamedTuple):
    address: Address
    mac: Mac


def decode(key: Key4 | Key6, value: Value) -> Row:
    return Row(key.value, value.addr)


def order(row: Row) -> tuple[object, ...]:
    return len(row.address), row


def cells(row: Row) -> tuple[str, ...]:
    return ip(row.address), mac(row.mac)


MAP = MapDef(
    command=("neighbours",),
    summary="MAC addresses of NodePort clients",
    row=Row,
    text=Table(("IP ADDRESS", "MAC"), cells, padded="none"),
    sources=(
        Source("cilium_nodeport_neigh4", (Layout("1.12", Key4, Value, decode),)),
        Source("cilium_nodeport_neigh6", (Layout("1.12", Key6, Value, decode),)),
    ),
    order=order,
)
