"""Rate limits inside the datapath: how much each dropped.

struct ratelimit_metrics_key {      struct ratelimit_metrics_value {
    __u32 usage;                        __u64 dropped;
};                                  };
"""

from typing import NamedTuple

from cilium_py.maps.ratelimit import usage_name
from cilium_py.schema import Layout, MapDef, Source, Struct, Table, layout, u32, u64


@layout(size=4, c="ratelimit_metrics_key")
class Key(Struct):
    usage: u32


@layout(size=8, c="ratelimit_metrics_value")
class Value(Struct):
    dropped: u64


class Row(NamedTuple):
    usage: str
    dropped: int


def decode(key: Key, value: Value) -> Row:
    return Row(usage_name(key.usage), value.dropped)


def cells(row: Row) -> tuple[str, ...]:
    return row.usage, str(row.dropped)


MAP = MapDef(
    command=("ratelimit", "metrics"),
    summary="What the datapath's rate limits dropped",
    row=Row,
    text=Table(("USAGE", "DROPPED"), cells, padded="none"),
    sources=(Source("cilium_ratelimit_metrics", (Layout("1.17", Key, Value, decode),)),),
    order=tuple,
)
