"""Client affinity: the backend that a client of a service was given last.

struct lb4_affinity_key {                   struct lb_affinity_val {
    union lb4_affinity_client_id client_id;     __u64 last_used;
    __u16 rev_nat_id;                           __u32 backend_id, pad;
    __u8  netns_cookie:1, reserved:7;       };
    __u8  pad1; __u32 pad2;
};                                          struct lb6_affinity_key: client of 16 bytes

A client is an address, or in socket load balancing the cookie of a network namespace (8 bytes).
"""

from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.schema import (
    Bits,
    Int,
    Layout,
    MapDef,
    Raw,
    Source,
    Struct,
    Table,
    be16,
    ip6,
    layout,
    pad4,
    pad5,
    u32,
    u64,
)
from cilium_py.schema.derived import Since, Ticks
from cilium_py.schema.text import ip

b8: TypeAlias = Annotated[bytes, Raw(8)]
ClientFlags: TypeAlias = Annotated[int, Int("B", 1), Bits(("netns_cookie",))]


@layout(size=16, c="lb4_affinity_key")
class Key4(Struct):
    client_id: b8
    rev_nat_id: be16
    netns_cookie: ClientFlags
    pad1: pad5


@layout(size=24, c="lb6_affinity_key")
class Key6(Struct):
    client_id: ip6
    rev_nat_id: be16
    netns_cookie: ClientFlags
    pad1: pad5


@layout(size=16, c="lb_affinity_val")
class Value(Struct):
    last_used: u64
    backend_id: u32
    pad: pad4


class Row(NamedTuple):
    rev_nat: int
    client: str
    """An address, or empty."""
    netns_cookie: int
    """0 for a client with an address."""
    backend_id: int
    last_used_ns: int
    """CLOCK_MONOTONIC."""


def _row(key: Key4 | Key6, address: bytes, value: Value) -> Row:
    by_cookie = key.netns_cookie & 1
    cookie = int.from_bytes(key.client_id[:8], "little") if by_cookie else 0
    client = "" if by_cookie else ip(address)
    return Row(key.rev_nat_id, client, cookie, value.backend_id, value.last_used)


def decode_4(key: Key4, value: Value) -> Row:
    return _row(key, key.client_id[:4], value)


def decode_6(key: Key6, value: Value) -> Row:
    return _row(key, key.client_id, value)


def cells(row: Row) -> tuple[str, ...]:
    client = row.client or f"netns {row.netns_cookie}"
    return str(row.rev_nat), client, str(row.backend_id), str(row.last_used_ns)


MAP = MapDef(
    command=("lb", "affinity"),
    summary="Backends that clients stay with",
    row=Row,
    text=Table(("REVNAT ID", "CLIENT", "BACKEND ID", "LAST USED (ns)"), cells, padded="none"),
    sources=(
        Source("cilium_lb4_affinity", (Layout("1.12", Key4, Value, decode_4),)),
        Source("cilium_lb6_affinity", (Layout("1.12", Key6, Value, decode_6),)),
    ),
    order=tuple,
    derived=(Since("idle", ("last_used_ns",), Ticks.MONOTONIC_NS),),
)
