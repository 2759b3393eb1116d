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
    Layout,
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
from cilium_py.schema.text import bracketed, ip, protocol_name

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


def row_of(key: Key, backend: BackendWithoutCluster4, cluster: int | None = None, zone: int | None = None) -> Row:
    state = STATES.get(backend.flags) or str(backend.flags)
    address, port = backend.address, backend.port
    return Row(key.value, address, port, protocol_name(backend.proto), state, cluster, zone)


def decode(key: Key, backend: Backend4) -> Row:
    return row_of(key, backend, backend.cluster_id, backend.zone)  # type: ignore[arg-type]  # same names


def decode_without_zone(key: Key, backend: BackendWithoutZone4) -> Row:
    return row_of(key, backend, backend.cluster_id)  # type: ignore[arg-type]  # same names


def cells(row: Row) -> tuple[str, str]:
    cluster = f"@{row.cluster}" if row.cluster else ""
    zone = f"[{row.zone}]" if row.zone else ""
    return str(row.backend_id), f"{row.protocol}://{bracketed(row.address, row.port)}{cluster}{zone}"


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
    text=Table(TITLES, cells),
    sources=(
        Source(
            "cilium_lb4_backends_v3",
            (
                Layout("1.16", Key, Backend4, decode),
                Layout("1.15", Key, BackendWithoutZone4, decode_without_zone),
                Layout("1.14", Key, BackendSmallCluster4, decode_without_zone),
            ),
            replaces="cilium_lb4_backends_v2",
        ),
        Source("cilium_lb4_backends_v2", (Layout("1.12", Key, BackendWithoutCluster4, row_of),)),
        Source(
            "cilium_lb6_backends_v3",
            (
                Layout("1.16", Key, Backend6, decode),
                Layout("1.15", Key, BackendWithoutZone6, decode_without_zone),
                Layout("1.14", Key, BackendSmallCluster6, decode_without_zone),
            ),
            replaces="cilium_lb6_backends_v2",
        ),
        Source("cilium_lb6_backends_v2", (Layout("1.12", Key, BackendWithoutCluster6, row_of),)),
    ),
    order=tuple,
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
