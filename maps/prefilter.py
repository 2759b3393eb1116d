"""XDP prefilter: sources whose packets are dropped as they arrive; whole addresses in hashes, prefixes in tries.

The layouts are those of the masquerade agent's maps.
"""

from cilium_py.maps.ipmasq import Key4, Key6, Row, Value, decode, order
from cilium_py.schema import Kind, Layout, MapDef, Source, Table
from cilium_py.schema.text import prefix


def layouts(key: type[Key4] | type[Key6], kind: Kind) -> tuple[Layout[Row], ...]:
    return (Layout("1.12", key, Value, decode, kind),)


def cells(row: Row) -> tuple[str, ...]:
    return (prefix(row.prefix),)


MAP = MapDef(
    command=("prefilter",),
    summary="Sources that the XDP prefilter drops",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS",), cells, padded="none"),
    sources=(
        Source("cilium_cidr_v4_fix", layouts(Key4, Kind.HASH)),
        Source("cilium_cidr_v4_dyn", layouts(Key4, Kind.TRIE)),
        Source("cilium_cidr_v6_fix", layouts(Key6, Kind.HASH)),
        Source("cilium_cidr_v6_dyn", layouts(Key6, Kind.TRIE)),
    ),
    order=order,
)
