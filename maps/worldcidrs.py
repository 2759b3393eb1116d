"""World CIDRs of the high-scale ipcache (1.14 to 1.17): prefixes outside the cluster.

The layout is that of the masquerade agent's IPv4 map.
"""

from cilium_py.maps.ipmasq import Key4, Row, Value, decode, order
from cilium_py.schema import Kind, Layout, MapDef, Source, Table
from cilium_py.schema.text import prefix


def cells(row: Row) -> tuple[str, ...]:
    return (prefix(row.prefix),)


MAP = MapDef(
    command=("worldcidrs",),
    summary="Prefixes outside the cluster (high-scale ipcache)",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS",), cells, padded="none"),
    sources=(Source("cilium_world_cidrs4", (Layout("1.14", Key4, Value, decode, Kind.TRIE),)),),
    order=order,
)
