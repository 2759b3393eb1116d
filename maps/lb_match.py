"""Client affinity: the backends that a service with affinity still has; another one is chosen anew.

struct lb_affinity_match {          value: __u8, not used
    __u32 backend_id;
    __u16 rev_nat_id, pad;
};
"""

from typing import NamedTuple

from cilium_py.schema import Layout, MapDef, Source, Struct, Table, be16, layout, pad2, u8, u32


@layout(size=8, c="lb_affinity_match")
class Key(Struct):
    backend_id: u32
    rev_nat_id: be16
    pad: pad2


@layout(size=1)
class Value(Struct):
    value: u8


class Row(NamedTuple):
    rev_nat: int
    backend_id: int


def decode(key: Key, _value: Value) -> Row:
    return Row(key.rev_nat_id, key.backend_id)


def cells(row: Row) -> tuple[str, ...]:
    return str(row.rev_nat), str(row.backend_id)


MAP = MapDef(
    command=("lb", "affinity-match"),
    summary="Backends that clients may stay with",
    row=Row,
    text=Table(("REVNAT ID", "BACKEND ID"), cells, padded="none"),
    sources=(Source("cilium_lb_affinity_match", (Layout("1.12", Key, Value, decode),)),),
    order=tuple,
)
