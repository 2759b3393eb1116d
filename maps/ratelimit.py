"""Rate limits inside the datapath: token buckets for ICMPv6 replies of an interface and for events.

struct ratelimit_key {              struct ratelimit_value {
    __u32 usage;                        __u64 last_topup, tokens;
    union { struct {                };
        __u32 netdev_idx; } icmpv6;
    } key;
};
"""

from typing import NamedTuple

from cilium_py.schema import Layout, MapDef, Source, Struct, Table, layout, u32, u64

USAGES = {1: "icmpv6", 2: "events", 3: "socket-termination"}


@layout(size=8, c="ratelimit_key")
class Key(Struct):
    usage: u32
    key: u32


@layout(size=16, c="ratelimit_value")
class Value(Struct):
    last_topup: u64
    tokens: u64


class Row(NamedTuple):
    usage: str
    ifindex: int
    tokens: int
    last_topup_ns: int
    """CLOCK_MONOTONIC."""


def usage_name(number: int) -> str:
    return USAGES.get(number) or str(number)


def decode(key: Key, value: Value) -> Row:
    return Row(usage_name(key.usage), key.key, value.tokens, value.last_topup)


def cells(row: Row) -> tuple[str, ...]:
    return row.usage, str(row.ifindex), str(row.tokens), str(row.last_topup_ns)


MAP = MapDef(
    command=("ratelimit",),
    summary="Token buckets of the datapath's rate limits",
    row=Row,
    text=Table(("USAGE", "IFINDEX", "TOKENS", "LAST TOPUP (ns)"), cells, padded="none"),
    sources=(Source("cilium_ratelimit", (Layout("1.15", Key, Value, decode),)),),
    order=tuple,
)
