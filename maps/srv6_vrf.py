"""SRv6: the VRF that the traffic of a pod to a prefix belongs to.

struct srv6_vrf_key4 {              value: __u32 vrf_id
    struct bpf_lpm_trie_key lpm;
    __u32 src_ip, dst_cidr;         struct srv6_vrf_key6: addresses of 16 bytes
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


@layout(size=12, c="srv6_vrf_key4")
class Key4(Struct):
    lpm: u32
    src_ip: ip4
    dst_cidr: ip4


@layout(size=36, c="srv6_vrf_key6")
class Key6(Struct):
    lpm: u32
    src_ip: ip6
    dst_cidr: ip6


@layout(size=4)
class Value(Struct):
    value: u32


class Row(NamedTuple):
    source: Address
    destination: Prefix
    vrf: int


def decode(key: Key4 | Key6, value: Value) -> Row:
    return Row(key.src_ip, (key.dst_cidr, key.lpm - 8 * len(key.src_ip)), value.value)


def order(row: Row) -> tuple[object, ...]:
    return len(row.source), row


def cells(row: Row) -> tuple[str, ...]:
    return go_ip(row.source), prefix(row.destination), str(row.vrf)


def compat_cells(row: Row) -> tuple[str, ...]:
    return go_ip(row.source), ip_net(row.destination), str(row.vrf)


ITEM = GoType("SourceIP", "DestCIDR", "ID")


def compat_item(pair: Pair) -> GoStruct:
    source, destination, _ = compat_cells(pair.row)
    return ITEM(source, destination, pair.row.vrf)


TITLES = ("Source IP", "Destination CIDR", "VRF ID")
TEXT = Table(TITLES, cells, padded="none", titles_when_empty=False)

MAP = MapDef(
    command=("srv6", "vrf"),
    summary="SRv6 VRFs by source and destination",
    row=Row,
    text=TEXT,
    sources=(
        Source("cilium_srv6_vrf_v4", (Layout("1.13", Key4, Value, decode, Kind.TRIE),)),
        Source("cilium_srv6_vrf_v6", (Layout("1.13", Key6, Value, decode, Kind.TRIE),)),
    ),
    order=order,
    compat=GoList(compat_item, text=replace(TEXT, cells=compat_cells)),
)
