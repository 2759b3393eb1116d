"""Source ranges of services: the clients that a service lets in, or with its `deny` flag keeps out.

struct lb4_src_range_key {          value: __u8, not used
    struct bpf_lpm_trie_key lpm_key;
    __u16 rev_nat_id, pad;
    __u32 addr;
};                                  struct lb6_src_range_key: address of 16 bytes

The prefix length counts the 32 bits before the address.
"""

from typing import NamedTuple

from cilium_py.schema import (
    GoTable,
    Kind,
    Layout,
    MapDef,
    Pair,
    Prefix,
    Source,
    Struct,
    Table,
    be16,
    ip4,
    ip6,
    layout,
    pad2,
    u8,
    u32,
)
from cilium_py.schema.text import ip_net, prefix

STATIC_BITS = 32


@layout(size=12, c="lb4_src_range_key")
class Key4(Struct):
    lpm_key: u32
    rev_nat_id: be16
    pad: pad2
    addr: ip4


@layout(size=24, c="lb6_src_range_key")
class Key6(Struct):
    lpm_key: u32
    rev_nat_id: be16
    pad: pad2
    addr: ip6


@layout(size=1)
class Value(Struct):
    value: u8


class Row(NamedTuple):
    rev_nat: int
    range: Prefix


def decode(key: Key4 | Key6, _value: Value) -> Row:
    return Row(key.rev_nat_id, (key.addr, key.lpm_key - STATIC_BITS))


def order(row: Row) -> tuple[object, ...]:
    return row.rev_nat, len(row.range[0]), row


def cells(row: Row) -> tuple[str, str]:
    return f"{prefix(row.range)} ({row.rev_nat})", ""


def compat_entry(pair: Pair) -> tuple[str, str]:
    row: Row = pair.row
    return f"{ip_net(row.range)} ({row.rev_nat})", ""


TITLES = ("SOURCE RANGE (REVNAT_ID)", "")

MAP = MapDef(
    command=("lb", "source-ranges"),
    summary="Source ranges that services check",
    row=Row,
    text=Table(TITLES, cells),
    sources=(
        Source("cilium_lb4_source_range", (Layout("1.12", Key4, Value, decode, Kind.TRIE),)),
        Source("cilium_lb6_source_range", (Layout("1.12", Key6, Value, decode, Kind.TRIE),)),
    ),
    order=order,
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
