"""World CIDRs of the high-scale ipcache (1.14 to 1.17): prefixes outside the cluster.

The layout is that of the masquerade agent's IPv4 map.
"""

from cilium_py.maps.ipmasq import Key4, Row, Value, decode, order, prefix
from cilium_py.schema import Layout, MapDef, Source, Table


def cells(row: Row) -> tuple[str, ...]:
    return (prefix(row),)


MAP = MapDef(
    command=("worldcidrs",),
    summary="Prefixes outside the cluster (high-scale ipcache)",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS",), cells),
    sources=(Source("cilium_world_cidrs4", (Layout("1.14", Key4, Value, decode),)),),
    order=order,
)
