"""Backends of services, by id.

struct lb4_backend {
    __be32 address;
    __be16 port;
    __u8   proto, flags;
    __u16  cluster_id;
    __u8   zone, pad;
};                                  struct lb6_backend: address of 16 bytes

Of the flags, the low bits are the state. 1.15 had no zone, 1.14 an 8-bit cluster id; up to 1.13 the maps had an
older name and no cluster id.
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoTable,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    be16,
    ip4,
    ip6,
    layout,
    pad1,
    pad2,
    pad3,
    u8,
    u16,
    u32,
)
from cilium_py.schema.decoder import declared
from cilium_py.schema.form import Columns, Name, key, value
from cilium_py.schema.template import Cells, Template, When
from cilium_py.schema.text import PROTOCOLS, ip

STATES = {0: "active", 1: "terminating", 2: "quarantined", 3: "maintenance"}


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=12, c="lb4_backend")
class Backend4(Struct):
    address: ip4
    port: be16
    proto: u8
    flags: u8
    cluster_id: u16
    zone: u8
    pad: pad1


@layout(size=24, c="lb6_backend")
class Backend6(Struct):
    address: ip6
    port: be16
    proto: u8
    flags: u8
    cluster_id: u16
    zone: u8
    pad: pad1


@layout(size=12)
class BackendWithoutZone4(Struct):
    """Of 1.15."""

    address: ip4
    port: be16
    proto: u8
    flags: u8
    cluster_id: u16
    pad: pad2


@layout(size=24)
class BackendWithoutZone6(Struct):
    """Of 1.15."""

    address: ip6
    port: be16
    proto: u8
    flags: u8
    cluster_id: u16
    pad: pad2


@layout(size=12)
class BackendSmallCluster4(Struct):
    """Of 1.14."""

    address: ip4
    port: be16
    proto: u8
    flags: u8
    cluster_id: u8
    pad: pad3


@layout(size=24)
class BackendSmallCluster6(Struct):
    """Of 1.14."""

    address: ip6
    port: be16
    proto: u8
    flags: u8
    cluster_id: u8
    pad: pad3


@layout(size=8)
class BackendWithoutCluster4(Struct):
    """Up to 1.13."""

    address: ip4
    port: be16
    proto: u8
    flags: u8


@layout(size=20)
class BackendWithoutCluster6(Struct):
    """Up to 1.13."""

    address: ip6
    port: be16
    proto: u8
    flags: u8


class Row(NamedTuple):
    backend_id: int
    address: Address
    port: int
    protocol: str
    state: str
    cluster: int | None
    """Since 1.14."""
    zone: int | None
    """Since 1.16."""


COLUMNS_12: Columns = {
    "backend_id": key.value,
    "address": value.address,
    "port": value.port,
    "protocol": Name(value.proto, PROTOCOLS),
    "state": Name(value.flags, STATES),
    "cluster": None,
    "zone": None,
}
COLUMNS_14: Columns = {**COLUMNS_12, "cluster": value.cluster_id}
COLUMNS: Columns = {**COLUMNS_14, "zone": value.zone}

CELLS = Cells(
    Template(Row, "{backend_id}"),
    Template(
        Row,
        "{protocol}://{address:[go]}:{port}",
        When("cluster", "@{cluster}", bits=0xFFFF),
        When("zone", "[{zone}]", bits=0xFF),
    ),
)


def order(row: Row) -> tuple[int, int]:
    return len(row.address), row.backend_id


def compat_entry(pair: Pair) -> tuple[str, str]:
    """cilium-dbg leaves out the port and the number of the zone."""
    row: Row = pair.row
    cluster = f"@{row.cluster}" if row.cluster else ""
    return str(row.backend_id), f"{row.protocol}://{ip(row.address)}{cluster}{'[]' if row.zone else ''}"


TITLES = ("ID", "BACKEND ADDRESS (REVNAT_ID) (SLOT)")

MAP = MapDef(
    command=("lb", "backends"),
    summary="Backends of services",
    row=Row,
    text=Table(TITLES, CELLS),
    sources=(
        Source(
            "cilium_lb4_backends_v3",
            (
                declared("1.16", Row, Key, Backend4, COLUMNS),
                declared("1.15", Row, Key, BackendWithoutZone4, COLUMNS_14),
                declared("1.14", Row, Key, BackendSmallCluster4, COLUMNS_14),
            ),
            replaces="cilium_lb4_backends_v2",
        ),
        Source("cilium_lb4_backends_v2", (declared("1.12", Row, Key, BackendWithoutCluster4, COLUMNS_12),)),
        Source(
            "cilium_lb6_backends_v3",
            (
                declared("1.16", Row, Key, Backend6, COLUMNS),
                declared("1.15", Row, Key, BackendWithoutZone6, COLUMNS_14),
                declared("1.14", Row, Key, BackendSmallCluster6, COLUMNS_14),
            ),
            replaces="cilium_lb6_backends_v2",
        ),
        Source("cilium_lb6_backends_v2", (declared("1.12", Row, Key, BackendWithoutCluster6, COLUMNS_12),)),
    ),
    order=order,
    key_order=(key.value,),
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
