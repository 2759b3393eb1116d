"""SRv6: the VRF that packets for a segment of this node belong to. Key: union v6addr sid; value: __u32 vrf_id."""

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
    ip6,
    layout,
    u32,
)
from cilium_py.schema.text import go_ip


@layout(size=16)
class Key(Struct):
    value: ip6


@layout(size=4)
class Value(Struct):
    value: u32


class Row(NamedTuple):
    sid: Address
    vrf: int


def decode(key: Key, value: Value) -> Row:
    return Row(key.value, value.value)


def cells(row: Row) -> tuple[str, ...]:
    return go_ip(row.sid), str(row.vrf)


ITEM = GoType("SID", "VRFID")


def compat_item(pair: Pair) -> GoStruct:
    return ITEM(go_ip(pair.row.sid), pair.row.vrf)


MAP = MapDef(
    command=("srv6", "sid"),
    summary="SRv6 segments of this node",
    row=Row,
    text=Table(("SID", "VRF ID"), cells, padded="none", titles_when_empty=False),
    sources=(Source("cilium_srv6_sid", (Layout("1.13", Key, Value, decode),)),),
    order=tuple,
    compat=GoList(compat_item, empty_if_of_other_size=True),
)
