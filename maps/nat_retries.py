"""Source NAT: how many connections needed how many tries to find a free port; per CPU, an array by tries."""

from typing import NamedTuple

from cilium_py.schema import GoList, GoStruct, GoType, Kind, Layout, Line, MapDef, Pair, Source, Struct, layout, u32


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=4)
class Value(Struct):
    value: u32


class Row(NamedTuple):
    family: int
    """4 or 6."""
    retries: int
    """How many tries were needed; the last is that many or more."""
    connections: int


def decode_4(key: Key, value: Value) -> Row:
    return Row(4, key.value, value.value)


def decode_6(key: Key, value: Value) -> Row:
    return Row(6, key.value, value.value)


def line(row: Row) -> str:
    return f"{row.retries}:\t{row.connections}"


KEY, VALUE, RECORD = GoType("Key"), GoType("Value"), GoType("Key", "Value")


def compat_item(pair: Pair) -> GoStruct:
    retries, connections = pair.row.retries, pair.row.connections
    return RECORD(
        KEY(retries, text=lambda: str(retries), reference="pointer"),
        VALUE(connections, text=lambda: str(connections), reference="pointer"),
    )


MAP = MapDef(
    command=("nat", "retries"),
    summary="Histogram of the retries of NAT port allocations",
    row=Row,
    text=Line(line),
    sources=(
        Source("cilium_snat_v4_alloc_retries", (Layout("1.18", Key, Value, decode_4, Kind.PER_CPU_ARRAY),), family=4),
        Source("cilium_snat_v6_alloc_retries", (Layout("1.18", Key, Value, decode_6, Kind.PER_CPU_ARRAY),), family=6),
    ),
    compat=GoList(compat_item, document_per_map=True),
)
