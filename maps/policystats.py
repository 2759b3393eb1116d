"""Policy statistics: packets and bytes by endpoint and policy entry. An LRU per-CPU hash, since 1.18.

struct policy_stats_key {               struct policy_stats_value {
    __u16  endpoint_id;                     __u64 packets, bytes;
    __u8   pad1, prefix_len;            };
    __u32  sec_label;
    __u8   egress:1, pad:7;
    __u8   protocol;
    __be16 dport;
};
"""

from typing import NamedTuple

from cilium_py.maps.policy import DIRECTIONS, Direction, ports
from cilium_py.schema import Kind, Layout, MapDef, Source, Struct, Table, be16, layout, pad1, u8, u16, u32, u64
from cilium_py.schema.text import protocol_name


@layout(size=12, c="policy_stats_key")
class Key(Struct):
    endpoint_id: u16
    pad1: pad1
    prefix_len: u8
    sec_label: u32
    egress: Direction
    protocol: u8
    dport: be16


@layout(size=16, c="policy_stats_value")
class Value(Struct):
    packets: u64
    bytes: u64


class Row(NamedTuple):
    endpoint_id: int
    direction: str
    identity: int
    protocol: str
    port: int | None
    last_port: int | None
    prefix_length: int
    packets: int
    bytes: int


def decode(key: Key, value: Value) -> Row:
    return Row(
        key.endpoint_id, DIRECTIONS.get(key.egress, "unknown"), key.sec_label,
        protocol_name(key.protocol) if key.prefix_len else "ANY", *ports(key.prefix_len, key.dport), key.prefix_len,
        value.packets, value.bytes,
    )  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    port = "ANY" if row.port is None else f"{row.port}-{row.last_port}" if row.port != row.last_port else str(row.port)
    return (
        str(row.endpoint_id), row.direction.capitalize(), str(row.identity), row.protocol, port, str(row.bytes),
        str(row.packets),
    )  # fmt: skip


MAP = MapDef(
    command=("policystats",),
    summary="Packets and bytes by endpoint and policy entry",
    row=Row,
    text=Table(("ENDPOINT", "DIRECTION", "IDENTITY", "PROTOCOL", "PORT", "BYTES", "PACKETS"), cells),
    sources=(Source("cilium_policystats", (Layout("1.18", Key, Value, decode, Kind.PER_CPU_HASH),)),),
    order=lambda row: (row.endpoint_id, row.direction, row.identity, row.protocol, row.port or 0, row.prefix_length),
)
