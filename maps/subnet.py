"""Subnets of hybrid routing (1.19 on): prefixes with the same identity reach each other without a tunnel.

struct subnet_key {                 struct subnet_value {
    struct bpf_lpm_trie_key lpm_key;    __u32 identity;
    __u16 pad0; __u8 pad1;          };
    __u8  family;
    union { __u32 ip4;
            union v6addr ip6; };
};

The prefix length counts the 32 bits before the address.
"""

from typing import NamedTuple

from cilium_py.schema import Kind, Layout, MapDef, Prefix, Source, Struct, Table, b16, layout, pad1, pad2, u8, u32
from cilium_py.schema.text import prefix

FAMILY_4 = 1
STATIC_BITS = 32


@layout(size=24)
class Key(Struct):
    lpm_key: u32
    pad0: pad2
    pad1: pad1
    family: u8
    ip6: b16


@layout(size=4)
class Value(Struct):
    identity: u32


class Row(NamedTuple):
    prefix: Prefix
    identity: int


def decode(key: Key, value: Value) -> Row:
    address = key.ip6[:4] if key.family == FAMILY_4 else key.ip6
    return Row((address, key.lpm_key - STATIC_BITS), value.identity)


def order(row: Row) -> tuple[object, ...]:
    return len(row.prefix[0]), row


def cells(row: Row) -> tuple[str, ...]:
    return prefix(row.prefix), f"identity={row.identity}"


MAP = MapDef(
    command=("subnet",),
    summary="Subnets that reach each other without a tunnel",
    row=Row,
    text=Table(("SUBNET PREFIX", "IDENTITY"), cells),
    sources=(Source("cilium_subnet_map", (Layout("1.19", Key, Value, decode, Kind.TRIE),)),),
    order=order,
)
