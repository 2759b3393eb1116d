"""Load balancing skipped: frontends that the pods of a network namespace reach without it (local redirect).

struct skip_lb4_key {               value: __u8, not used
    __u64 netns_cookie;
    __u32 address;
    __u16 port;                     struct skip_lb6_key: address of 16 bytes,
    __u16 pad;                          and 4 bytes of padding before the port
};
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    Layout,
    MapDef,
    Source,
    Struct,
    Table,
    be16,
    ip4,
    ip6,
    layout,
    pad2,
    pad4,
    u8,
    u64,
)
from cilium_py.schema.text import bracketed


@layout(size=16, c="skip_lb4_key")
class Key4(Struct):
    netns_cookie: u64
    address: ip4
    port: be16
    pad: pad2


@layout(size=32, c="skip_lb6_key")
class Key6(Struct):
    netns_cookie: u64
    address: ip6
    pad: pad4
    port: be16
    pad2: pad2


@layout(size=1)
class Value(Struct):
    value: u8


class Row(NamedTuple):
    netns_cookie: int
    address: Address
    port: int


def decode(key: Key4 | Key6, _value: Value) -> Row:
    return Row(key.netns_cookie, key.address, key.port)


def order(row: Row) -> tuple[object, ...]:
    return row.netns_cookie, len(row.address), row


def cells(row: Row) -> tuple[str, ...]:
    return str(row.netns_cookie), bracketed(row.address, row.port)


MAP = MapDef(
    command=("lb", "skip"),
    summary="Frontends reached without load balancing",
    row=Row,
    text=Table(("NETNS COOKIE", "FRONTEND"), cells, padded="none"),
    sources=(
        Source("cilium_skip_lb4", (Layout("1.16", Key4, Value, decode),)),
        Source("cilium_skip_lb6", (Layout("1.16", Key6, Value, decode),)),
    ),
    order=order,
)
