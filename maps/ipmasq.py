"""Masquerade agent: the destinations that pods reach with their own address.

struct lpm_v4_key {                 struct lpm_val {
    struct bpf_lpm_trie_key lpm;        __u8 flags;
    __u8 addr[4];                   };
};                                  struct lpm_v6_key: 16 bytes of address
"""

from typing import NamedTuple

from cilium_py.schema import (
    GoList,
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
    u8,
    u32,
)
from cilium_py.schema.golang import Marshaled
from cilium_py.schema.text import prefix


@layout(size=8, c="lpm_v4_key")
class Key4(Struct):
    lpm: u32
    addr: ip4


@layout(size=20, c="lpm_v6_key")
class Key6(Struct):
    lpm: u32
    addr: ip6


@layout(size=1, c="lpm_val")
class Value(Struct):
    flags: u8


class Row(NamedTuple):
    prefix: Prefix


def decode(key: Key4 | Key6, _value: Value) -> Row:
    return Row((key.addr, key.lpm))


def order(row: Row) -> tuple[object, ...]:
    return len(row.prefix[0]), row


def cells(row: Row) -> tuple[str, ...]:
    return prefix(row.prefix), ""


def compat_item(pair: Pair) -> Marshaled:
    return Marshaled(prefix(pair.row.prefix))


MAP = MapDef(
    command=("ipmasq",),
    summary="Destinations that are not masqueraded",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS", ""), cells, titles_when_empty=False),
    sources=(
        Source("cilium_ipmasq_v4", (Layout("1.12", Key4, Value, decode, Kind.TRIE),)),
        Source("cilium_ipmasq_v6", (Layout("1.14", Key6, Value, decode, Kind.TRIE),)),
    ),
    order=order,
    compat=GoList(compat_item, empty_without_map=True),
)
