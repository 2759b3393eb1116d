"""SRv6: the segment that traffic of a VRF to a prefix is sent to.

struct srv6_policy_key4 {           value: union v6addr sid
    struct bpf_lpm_trie_key lpm;
    __u32 vrf_id, dst_cidr;         struct srv6_policy_key6: prefix of 16 bytes
};
"""

from dataclasses import replace
from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Kind,
    Layout,
    MapDef,
    Pair,
    Prefix,
    Source,
    Struct,
    Table,
    ip4,
    ip6,
    layout,
    u32,
)
from cilium_py.schema.text import go_ip, ip_net, prefix

STATIC_BITS = 32
"""Bits of the key before the prefix: the VRF."""


@layout(size=12, c="srv6_policy_key4")
class Key4(Struct):
    lpm: u32
    vrf_id: u32
    dst_cidr: ip4


@layout(size=24, c="srv6_policy_key6")
class Key6(Struct):
    lpm: u32
    vrf_id: u32
    dst_cidr: ip6


@layout(size=16)
class Value(Struct):
    value: ip6


class Row(NamedTuple):
    vrf: int
    destination: Prefix
    sid: Address


def decode(key: Key4 | Key6, value: Value) -> Row:
    return Row(key.vrf_id, (key.dst_cidr, key.lpm - STATIC_BITS), value.value)


def order(row: Row) -> tuple[object, ...]:
    return len(row.destination[0]), row


def cells(row: Row) -> tuple[str, ...]:
    return str(row.vrf), prefix(row.destination), go_ip(row.sid)


def compat_cells(row: Row) -> tuple[str, ...]:
    return str(row.vrf), ip_net(row.destination), go_ip(row.sid)


ITEM = GoType("VRFID", "DestCIDR", "SID")


def compat_item(pair: Pair) -> GoStruct:
    _, destination, sid = compat_cells(pair.row)
    return ITEM(pair.row.vrf, destination, sid)


TITLES = ("VRF ID", "Destination CIDR", "SID")
TEXT = Table(TITLES, cells, padded="none", titles_when_empty=False)

MAP = MapDef(
    command=("srv6", "policy"),
    summary="SRv6 policies",
    row=Row,
    text=TEXT,
    sources=(
        Source("cilium_srv6_policy_v4", (Layout("1.13", Key4, Value, decode, Kind.TRIE),)),
        Source("cilium_srv6_policy_v6", (Layout("1.13", Key6, Value, decode, Kind.TRIE),)),
    ),
    order=order,
    compat=GoList(compat_item, text=replace(TEXT, cells=compat_cells)),
)
