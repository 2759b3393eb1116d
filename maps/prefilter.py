"""XDP prefilter: sources whose packets are dropped as they arrive; whole addresses in hashes, prefixes in tries.

The layouts are those of the masquerade agent's maps.
"""

from cilium_py.maps.ipmasq import Key4, Key6, Row, Value, decode, order
from cilium_py.schema import Layout, MapDef, Source, Table
from cilium_py.schema.text import prefix

V4 = (Layout("1.12", Key4, Value, decode),)
V6 = (Layout("1.12", Key6, Value, decode),)


def cells(row: Row) -> tuple[str, ...]:
    return (prefix(row.prefix),)


MAP = MapDef(
    command=("prefilter",),
    summary="Sources that the XDP prefilter drops",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS",), cells, padded="none"),
    sources=(
        Source("cilium_cidr_v4_fix", V4),
        Source("cilium_cidr_v4_dyn", V4),
        Source("cilium_cidr_v6_fix", V6),
        Source("cilium_cidr_v6_dyn", V6),
    ),
    order=order,
)
