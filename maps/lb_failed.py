"""Failed connections (1.17 on): how many never got an answer, by service and zone of the backend.

The key is that of the active connections.        struct: __u32 failed
"""

from typing import NamedTuple

from cilium_py.maps.lb_active import Key
from cilium_py.schema import Layout, MapDef, Source, Struct, Table, layout, u32


@layout(size=4)
class Value(Struct):
    failed: u32


class Row(NamedTuple):
    rev_nat: int
    zone: int
    failed: int


def decode(key: Key, value: Value) -> Row:
    return Row(key.svc_id, key.zone, value.failed)


def cells(row: Row) -> tuple[str, ...]:
    return tuple(map(str, row))


MAP = MapDef(
    command=("lb", "failed"),
    summary="Connections that failed, by service and zone",
    row=Row,
    text=Table(("REVNAT ID", "ZONE", "FAILED"), cells, padded="none"),
    sources=(Source("cilium_lb_fct", (Layout("1.17", Key, Value, decode),)),),
    order=tuple,
)
