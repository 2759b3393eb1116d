"""Maglev: for each service with consistent hashing, the table of backends that a hash picks from.

The outer maps (cilium_lb4_maglev, cilium_lb6_maglev) are hashes of maps: a service's reverse NAT id in network order
-> an array of one element, which is the table: a backend id for each hash, in as many places as the node was
configured with (a prime number).
"""

import struct
from typing import NamedTuple

from cilium_py.schema import GoTable, InnerMap, Kind, Layout, MapDef, Pair, Source, Struct, Table, be16, layout
from cilium_py.schema.golang import words


@layout(size=2)
class Key(Struct):
    value: be16


class Row(NamedTuple):
    rev_nat: int
    family: int
    """4 or 6."""
    table: list[int]
    """Backend ids."""


def table_of(inner: list[tuple[bytes, bytes]]) -> list[int]:
    return [number for _, value in inner for number in struct.unpack_from(f"<{len(value) // 4}I", value)]


def decode_4(key: Key, inner: list[tuple[bytes, bytes]]) -> Row:
    return Row(key.value, 4, table_of(inner))


def decode_6(key: Key, inner: list[tuple[bytes, bytes]]) -> Row:
    return Row(key.value, 6, table_of(inner))


def cells(row: Row) -> tuple[str, str]:
    return f"[{row.rev_nat}]/v{row.family}", words(list(map(str, row.table)))


def compat_entry(pair: Pair) -> tuple[str, str]:
    return cells(pair.row)


TITLES = ("SVC ID", "LOOKUP TABLE")

MAP = MapDef(
    command=("lb", "maglev"),
    summary="Maglev lookup tables of services",
    row=Row,
    text=Table(TITLES, cells),
    sources=(
        Source("cilium_lb4_maglev", (Layout("1.12", Key, InnerMap, decode_4, Kind.MAPS),)),
        Source("cilium_lb6_maglev", (Layout("1.12", Key, InnerMap, decode_6, Kind.MAPS),)),
    ),
    order=tuple,
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
