"""Services: a frontend, and in the slots after it the backends that it chooses from.

struct lb4_key {                    struct lb4_service {
    __be32 address;                     union { __u32 backend_id;
    __be16 dport;                               __u32 affinity_timeout;
    __u16  backend_slot;                        __u32 l7_lb_proxy_port; };
    __u8   proto, scope, pad[2];        __u16 count, rev_nat_index;
};                                      __u8  flags, flags2;
                                        __u16 qcount;
struct lb6_key: address of 16 bytes };

Slot 0 is the service: how many backends it has, active and quarantined, and its settings. In its union, the low 24
bits are the seconds of client affinity and the high 8 the algorithm; or the union is a proxy's port, in network
order. Up to 1.16 there was no count of quarantined backends.
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
    pad2,
    u8,
    u16,
    u32,
)
from cilium_py.schema.form import key
from cilium_py.schema.struct import swap
from cilium_py.schema.text import PROTOCOL_NUMBERS, bracketed, protocol_name

INTERNAL = 1
EXTERNAL_IPS, NODE_PORT, EXT_LOCAL, HOST_PORT = 0x1, 0x2, 0x4, 0x8
AFFINITY, LOAD_BALANCER, ROUTABLE, SOURCE_RANGE = 0x10, 0x20, 0x40, 0x80
LOCAL_REDIRECT, NAT_46X64, L7_LOAD_BALANCER, LOOPBACK = 0x100, 0x200, 0x400, 0x800
INT_LOCAL, TWO_SCOPES, QUARANTINED, DSR = 0x1000, 0x2000, 0x4000, 0x8000


@layout(size=12, c="lb4_key")
class Key4(Struct):
    address: ip4
    dport: be16
    backend_slot: u16
    proto: u8
    scope: u8
    pad: pad2


@layout(size=24, c="lb6_key")
class Key6(Struct):
    address: ip6
    dport: be16
    backend_slot: u16
    proto: u8
    scope: u8
    pad: pad2


@layout(size=12, c="lb4_service")
class Service(Struct):
    backend_id: u32
    count: u16  # type: ignore[assignment]  # the C name, which a tuple has for a method
    rev_nat_index: be16
    flags: u8
    flags2: u8
    qcount: u16


@layout(size=12)
class ServiceWithoutQuarantine(Struct):
    """struct lb4_service up to 1.16."""

    backend_id: u32
    count: u16  # type: ignore[assignment]  # the C name, which a tuple has for a method
    rev_nat_index: be16
    flags: u8
    flags2: u8
    pad: pad2


class Row(NamedTuple):
    address: Address
    port: int
    protocol: str
    internal: bool
    """The frontend of the internal scope, where a service has two."""
    slot: int
    backend_id: int
    """0 in slot 0."""
    backends: int
    """How many are active; 0 outside of slot 0, as are the quarantined."""
    quarantined: int | None
    """Since 1.17."""
    rev_nat: int
    flags: int
    flag_names: list[str]
    affinity_timeout: int
    """Seconds; 0 outside of slot 0, as are the next two."""
    algorithm: int
    proxy_port: int


def service_type(flags: int) -> str:
    types = {
        EXTERNAL_IPS: "ExternalIPs",
        NODE_PORT: "NodePort",
        LOAD_BALANCER: "LoadBalancer",
        HOST_PORT: "HostPort",
        LOCAL_REDIRECT: "LocalRedirect",
    }
    return next((name for bit, name in types.items() if flags & bit), "ClusterIP")


def flag_names(flags: int) -> list[str]:
    """What cilium-dbg calls the flags of slot 0. One bit is `deny` of a source range check, else `quarantined`."""
    kind = service_type(flags)
    denies = bool(flags & SOURCE_RANGE and flags & QUARANTINED)
    names = (
        (kind, True),
        ("Local", flags & EXT_LOCAL),
        ("InternalLocal", flags & INT_LOCAL),
        ("two-scopes", flags & TWO_SCOPES),
        ("sessionAffinity", flags & AFFINITY),
        ("non-routable", not flags & ROUTABLE),
        ("check source-range", flags & SOURCE_RANGE),
        ("deny", denies),
        ("46x64", flags & NAT_46X64),
        ("l7-load-balancer", flags & L7_LOAD_BALANCER),
        ("loopback" if kind == "HostPort" else "delegate-if-local", flags & LOOPBACK),
        ("quarantined", flags & QUARANTINED and not denies),
        ("dsr", flags & DSR),
    )
    return [name for name, is_set in names if is_set]


def decode(key: Key4 | Key6, service: Service) -> Row:
    return row_of(key, service, service.qcount)


def decode_without_quarantine(key: Key4 | Key6, service: ServiceWithoutQuarantine) -> Row:
    return row_of(key, service, None)


def row_of(key: Key4 | Key6, service: Service | ServiceWithoutQuarantine, quarantined: int | None) -> Row:
    flags = service.flags | service.flags2 << 8
    slot, union = key.backend_slot, service.backend_id
    is_proxied = slot == 0 and bool(flags & L7_LOAD_BALANCER)
    has_settings = slot == 0 and not is_proxied
    return Row(
        key.address,
        key.dport,
        protocol_name(key.proto),
        key.scope == INTERNAL,
        slot,
        union if slot else 0,
        service.count,
        quarantined,
        service.rev_nat_index,
        flags,
        [] if slot else flag_names(flags),
        union & 0xFFFFFF if has_settings else 0,
        union >> 24 if has_settings else 0,
        swap(union & 0xFFFF, 2) if is_proxied else 0,
    )


def order(row: Row) -> tuple[object, ...]:
    protocol = PROTOCOL_NUMBERS.get(row.protocol.upper())
    number = int(row.protocol) if protocol is None else protocol
    return len(row.address), row.address, row.port, number, row.internal, row.slot


def frontend(address: bytes, port: int, protocol: str, internal: bool, slot: int) -> str:
    """10.96.0.1:443/TCP/i (0)."""
    return f"{bracketed(address, port)}/{protocol}{'/i' if internal else ''} ({slot})"


def counts(row: Row, union: int) -> str:
    return f"{union} {row.backends}[{row.quarantined or 0}] ({row.rev_nat}) [{row.flags & 0xFF:#x} {row.flags >> 8:#x}]"


def cells(row: Row) -> tuple[str, str]:
    union = row.backend_id or row.algorithm << 24 | row.affinity_timeout or swap(row.proxy_port, 2)
    return frontend(*row[:5]), counts(row, union)


def compat_entry(pair: Pair) -> tuple[str, str]:
    return frontend(*pair.row[:5]), counts(pair.row, pair.value.backend_id)


TITLES = ("SERVICE ADDRESS", "BACKEND ID")


V4 = (
    Layout("1.17", Key4, Service, decode),
    Layout("1.12", Key4, ServiceWithoutQuarantine, decode_without_quarantine),
)
V6 = (
    Layout("1.17", Key6, Service, decode),
    Layout("1.12", Key6, ServiceWithoutQuarantine, decode_without_quarantine),
)

MAP = MapDef(
    command=("lb", "services"),
    summary="Service frontends and the slots of their backends",
    row=Row,
    text=Table(TITLES, cells),
    sources=(Source("cilium_lb4_services_v2", V4), Source("cilium_lb6_services_v2", V6)),
    order=order,
    key_order=(key.address, key.dport, key.proto, key.scope, key.backend_slot),
    compat=GoTable(TITLES, compat_entry, titles_when_empty=True, empty_without_map=True),
)
