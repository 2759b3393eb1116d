"""Active connections: how many were opened and closed, by service and zone of the backend.

struct lb_act_key {                 struct lb_act_value {
    __u16 svc_id;                       __u32 opened, closed;
    __u8  zone, pad;                };
};
"""

from typing import NamedTuple

from cilium_py.schema import Layout, MapDef, Source, Struct, Table, be16, layout, pad1, u8, u32


@layout(size=4)
class Key(Struct):
    svc_id: be16
    zone: u8
    pad: pad1


@layout(size=8)
class Value(Struct):
    opened: u32
    closed: u32


class Row(NamedTuple):
    rev_nat: int
    zone: int
    opened: int
    closed: int
    active: int


def decode(key: Key, value: Value) -> Row:
    opened, closed = value
    return Row(key.svc_id, key.zone, opened, closed, (opened - closed) % (1 << 32))


def cells(row: Row) -> tuple[str, ...]:
    return tuple(map(str, row))


MAP = MapDef(
    command=("lb", "active"),
    summary="Connections opened and closed, by service and zone",
    row=Row,
    text=Table(("REVNAT ID", "ZONE", "OPENED", "CLOSED", "ACTIVE"), cells, padded="none"),
    sources=(Source("cilium_lb_act", (Layout("1.16", Key, Value, decode),)),),
    order=tuple,
)
