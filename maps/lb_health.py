"""Backends that a socket's health checks go to, whatever a service would choose: socket cookie -> backend.

struct lb4_health { struct lb4_backend peer; };     struct lb6_health likewise

The backend is laid out as in the maps of backends, and has changed with them.
"""

from typing import NamedTuple

from cilium_py.maps.lb_backends import (
    Backend4,
    Backend6,
    BackendSmallCluster4,
    BackendSmallCluster6,
    BackendWithoutCluster4,
    BackendWithoutCluster6,
    BackendWithoutZone4,
    BackendWithoutZone6,
)
from cilium_py.schema import Address, Layout, MapDef, Source, Struct, Table, layout, u64
from cilium_py.schema.decoder import declared
from cilium_py.schema.form import Columns, Name, key, value
from cilium_py.schema.template import Cells, Template
from cilium_py.schema.text import PROTOCOLS


@layout(size=8)
class Key(Struct):
    cookie: u64


class Row(NamedTuple):
    cookie: int
    """Of the socket."""
    address: Address
    port: int
    protocol: str


COLUMNS: Columns = {
    "cookie": key.cookie,
    "address": value.address,
    "port": value.port,
    "protocol": Name(value.proto, PROTOCOLS),
}


def layouts(*backends: tuple[str, type[Struct]]) -> tuple[Layout[Row], ...]:
    return tuple(declared(release, Row, Key, backend, COLUMNS) for release, backend in backends)


def order(row: Row) -> tuple[int, int]:
    return len(row.address), row.cookie


MAP = MapDef(
    command=("lb", "health"),
    summary="Backends that health checks of a socket go to",
    row=Row,
    text=Table(
        ("SOCKET COOKIE", "BACKEND"),
        Cells(Template(Row, "{cookie}"), Template(Row, "{protocol}://{address:[go]}:{port}")),
    ),
    sources=(
        Source(
            "cilium_lb4_health",
            layouts(
                ("1.16", Backend4),
                ("1.15", BackendWithoutZone4),
                ("1.14", BackendSmallCluster4),
                ("1.12", BackendWithoutCluster4),
            ),
        ),
        Source(
            "cilium_lb6_health",
            layouts(
                ("1.16", Backend6),
                ("1.15", BackendWithoutZone6),
                ("1.14", BackendSmallCluster6),
                ("1.12", BackendWithoutCluster6),
            ),
        ),
    ),
    order=order,
    key_order=(key.cookie,),
)
