"""L2 responder: the service addresses that this node answers ARP and ND for, and how often it did.

struct l2_responder_v4_key {        struct l2_responder_stats {
    __u32 ip4, ifindex;                 __u64 responses_sent;
};                                  };

struct l2_responder_v6_key {
    union v6addr ip6;
    __u32 ifindex, pad;
};
"""

from typing import NamedTuple

from cilium_py.schema import Address, Layout, MapDef, Source, Struct, Table, ip4, ip6, layout, pad4, u32, u64
from cilium_py.schema.text import ip


@layout(size=8, c="l2_responder_v4_key")
class Key4(Struct):
    ip4: ip4
    ifindex: u32


@layout(size=24)
class Key6(Struct):
    """struct l2_responder_v6_key."""

    ip6: ip6
    ifindex: u32
    pad: pad4


@layout(size=8, c="l2_responder_v4_stats")
class Stats(Struct):
    responses_sent: u64


class Row(NamedTuple):
    address: Address
    ifindex: int
    responses: int


def decode_4(key: Key4, stats: Stats) -> Row:
    return Row(key.ip4, key.ifindex, stats.responses_sent)


def decode_6(key: Key6, stats: Stats) -> Row:
    return Row(key.ip6, key.ifindex, stats.responses_sent)


def order(row: Row) -> tuple[object, ...]:
    return len(row.address), row


def cells(row: Row) -> tuple[str, ...]:
    return ip(row.address), str(row.ifindex), str(row.responses)


MAP = MapDef(
    command=("l2responder",),
    summary="Addresses that this node answers ARP and ND for",
    row=Row,
    text=Table(("IP ADDRESS", "IFINDEX", "RESPONSES"), cells, padded="none"),
    sources=(
        Source("cilium_l2_responder_v4", (Layout("1.14", Key4, Stats, decode_4),)),
        Source("cilium_l2_responder_v6", (Layout("1.20", Key6, Stats, decode_6),)),
    ),
    order=order,
)
