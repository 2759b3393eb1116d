"""Policy maps, one an endpoint: which identities may talk to it, or it to them, on which ports. LPM tries.

struct policy_key {                         struct policy_entry {
    struct bpf_lpm_trie_key lpm_key;            __be16 proxy_port;
    __u32  sec_label;                           __u8 deny:1, reserved:2, lpm_prefix_length:5;
    __u8   egress:1, pad:7;                     __u8 auth_type:7, has_explicit_auth_type:1;
    __u8   protocol;                            __u8 proxy_port_priority, pad1; __u16 pad2;
    __be16 dport;                           };
};

The prefix length counts the 40 bits of padding, identity and direction, then those of protocol (8) and port (16): a
range of ports is one entry where it is a power of two. Packets and bytes are counted in `cilium_policystats` since
1.18, and were in the entry before. Identity 0 stands for anyone.
"""

from functools import cache
from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.maps.auth import type_name
from cilium_py.schema import (
    Bits,
    GoField,
    GoStruct,
    GoType,
    Int,
    Kind,
    Layout,
    MapDef,
    Named,
    Source,
    Struct,
    Table,
    be16,
    layout,
    pad1,
    pad3,
    pad4,
    u8,
    u16,
    u32,
    u64,
)
from cilium_py.schema.text import protocol_name

STATIC_BITS, PROTOCOL_BITS, FULL_BITS = 40, 8, 24
DENY, PREFIX_SHIFT, EXPLICIT_AUTH = 1, 3, 0x80
UNCOUNTED = (1 << 64) - 1
"""What cilium-dbg's JSON has for packets and bytes that nobody counted."""
DIRECTIONS = {0: "ingress", 1: "egress"}

Direction: TypeAlias = Annotated[int, Int("B", 1), Bits((("egress", 1),))]
Flags: TypeAlias = Annotated[int, Int("B", 1), Bits(("deny", ("reserved", 2), ("lpm_prefix_length", 5)))]
Flags14: TypeAlias = Annotated[int, Int("B", 1), Bits(("deny", "wildcard_protocol", "wildcard_dport"))]
Flags12: TypeAlias = Annotated[int, Int("B", 1), Bits(("deny",))]
Auth: TypeAlias = Annotated[int, Int("B", 1), Bits((("auth_type", 7), "has_explicit_auth_type"))]


@layout(size=12, c="policy_key")
class Key(Struct):
    prefixlen: u32
    sec_label: u32
    egress: Direction
    protocol: u8
    dport: be16


@layout(size=8)
class Key12(Struct):
    sec_label: u32
    dport: be16
    protocol: u8
    egress: Direction


@layout(size=12)
class Entry19(Struct):
    proxy_port: be16
    flags: Flags
    auth: Auth
    precedence: u32
    cookie: u32


@layout(size=8, c="policy_entry")
class Entry(Struct):
    proxy_port: be16
    flags: Flags
    auth: Auth
    proxy_port_priority: u8
    pad1: u8
    pad2: u16


@layout(size=24)
class Entry17(Struct):
    proxy_port: be16
    flags: Flags
    auth: Auth
    proxy_port_priority: u8
    pad1: pad3
    packets: u64
    bytes: u64


@layout(size=24)
class Entry14(Struct):
    proxy_port: be16
    flags: Flags14
    auth_type: u8
    pad1: pad4
    packets: u64
    bytes: u64


@layout(size=24)
class Entry12(Struct):
    proxy_port: be16
    flags: Flags12
    pad0: pad1
    pad1: pad4
    packets: u64
    bytes: u64


class Row(NamedTuple):
    endpoint: str
    """The endpoint's id, or reserved_1 for the host."""
    action: str
    direction: str
    identity: int
    labels: list[str]
    protocol: str
    port: int | None
    """None for every port."""
    last_port: int | None
    prefix_length: int
    """Bits of protocol and port that a packet must match: 0 (any), 8 (protocol) to 24 (one port)."""
    proxy_port: int | None
    proxy_port_priority: int | None
    auth_type: str
    auth_explicit: bool
    bytes: int | None
    packets: int | None
    precedence: int | None = None
    cookie: int | None = None


def decode(key: Key, entry: Entry) -> Row:
    return _row(key, entry, priority=entry.proxy_port_priority)


def decode_19(key: Key, entry: Entry19) -> Row:
    return _row(key, entry, precedence=entry.precedence, cookie=entry.cookie)


def decode_17(key: Key, entry: Entry17) -> Row:
    return _row(key, entry, priority=entry.proxy_port_priority, packets=entry.packets, size=entry.bytes)


def _row(key: Key, entry: Entry | Entry19 | Entry17, **more: int) -> Row:
    return _base(
        key, key.prefixlen - STATIC_BITS, entry.proxy_port, bool(entry.flags & DENY), entry.auth & 0x7F,
        bool(entry.auth & EXPLICIT_AUTH), **more,
    )  # fmt: skip


def decode_14(key: Key, entry: Entry14) -> Row:
    return _base(
        key, key.prefixlen - STATIC_BITS, entry.proxy_port, bool(entry.flags & DENY), entry.auth_type, explicit=False,
        packets=entry.packets, size=entry.bytes,
    )  # fmt: skip


def decode_12(key: Key12, entry: Entry12) -> Row:
    bits = FULL_BITS if key.dport else PROTOCOL_BITS if key.protocol else 0
    return _base(
        key, bits, entry.proxy_port, bool(entry.flags & DENY), 0, explicit=False, packets=entry.packets,
        size=entry.bytes,
    )  # fmt: skip


def _base(
    key: Key | Key12, bits: int, proxy_port: int, deny: bool, auth: int, explicit: bool, *, priority: int | None = None,
    packets: int | None = None, size: int | None = None, precedence: int | None = None, cookie: int | None = None,
) -> Row:  # fmt: skip
    port, last = ports(bits, key.dport)
    return Row(
        endpoint="",
        action="deny" if deny else "allow",
        direction=DIRECTIONS.get(key.egress, "unknown"),
        identity=key.sec_label,
        labels=[],
        protocol=protocol_name(key.protocol) if bits else "ANY",
        port=port,
        last_port=last,
        prefix_length=bits,
        proxy_port=proxy_port or None,
        proxy_port_priority=priority,
        auth_type=type_name(auth),
        auth_explicit=explicit,
        bytes=size,
        packets=packets,
        precedence=precedence,
        cookie=cookie,
    )


def ports(bits: int, port: int) -> tuple[int | None, int | None]:
    """(first, last) port of a prefix over protocol and port; (None, None) for every port and for no valid prefix."""
    if not PROTOCOL_BITS < bits <= FULL_BITS:
        return None, None
    return port, port | (1 << (FULL_BITS - bits)) - 1


def port_text(row: Row) -> str:
    """ANY, TCP, 80/TCP or 8080-8087/TCP."""
    bits = row.prefix_length
    if bits and not PROTOCOL_BITS <= bits <= FULL_BITS:
        return f"<INVALID PREFIX LENGTH: {bits & 0xFF}>"
    if row.port is None:
        return row.protocol
    return f"{row.port}{f'-{row.last_port}' if row.port != row.last_port else ''}/{row.protocol}"


def cells(row: Row, peer: str) -> tuple[str, ...]:
    """The cells of the table; `peer` is the identity or one of its labels."""
    return (
        row.action.capitalize(), row.direction.capitalize(), peer, port_text(row), str(row.proxy_port or "NONE"),
        row.auth_type, count_text(row.bytes), count_text(row.packets), str(row.prefix_length & 0xFF),
    )  # fmt: skip


def count_text(count: int | None) -> str:
    return "-" if count in (None, UNCOUNTED) else str(count)


def order(row: Row) -> tuple[str, bool, int, int, str, int, int]:
    """Endpoint by endpoint: denials first, then by direction, identity, protocol and port."""
    direction = ("ingress", "egress", "unknown").index(row.direction)
    return (
        row.endpoint, row.action == "allow", direction, row.identity, row.protocol, row.port or 0, row.prefix_length,
    )  # fmt: skip


def compat_order(key: Key, row: Row) -> tuple[bool, int, int]:
    """All that cilium-dbg sorts by."""
    return row.action == "allow", key.egress, key.sec_label


def compat_row(key: Key, row: Row) -> Row:
    """A row as cilium-dbg words it: the protocol also where it is not matched, and a range's last port by a sum."""
    row = row._replace(protocol=protocol_name(key.protocol))
    if row.port is None or row.prefix_length == FULL_BITS:
        return row
    return row._replace(last_port=(row.port + (1 << (FULL_BITS - row.prefix_length)) - 1) & 0xFFFF)


ENTRY = GoType("ProxyPortNetwork", "Flags", "AuthRequirement", "ProxyPortPriority", "Pad1", "Pad2")
STATISTICS = GoType("Packets", "Bytes")
KEY = GoType("Prefixlen", "Identity", "TrafficDirection", "Nexthdr", "DestPortNetwork")
DUMPED = GoType(GoField("PolicyEntry", embedded=True), GoField("StatsValue", embedded=True), "Key")


def compat_entry(key: Key, entry: Entry, row: Row) -> GoStruct:
    """An entry of `cilium-dbg bpf policy get -o json`: proxy port and port as they lie in memory."""
    port, flags, *rest = entry
    packets = UNCOUNTED if row.packets is None else row.packets
    size = UNCOUNTED if row.bytes is None else row.bytes
    return DUMPED(ENTRY(port, flags_of(flags, row.action), *rest), STATISTICS(packets, size), KEY(*key))


@cache
def flags_of(flags: int, action: str) -> Named:
    return Named(flags, action.capitalize())


TITLES = ("POLICY", "DIRECTION", "IDENTITY", "PORT/PROTO", "PROXY PORT", "AUTH TYPE", "BYTES", "PACKETS", "PREFIX")
LABEL_TITLE = "LABELS (source:key[=value])"
EMPTY = "Policy stats empty. Perhaps the policy enforcement is disabled?"

LAYOUT_19 = Layout("1.19", Key, Entry19, decode_19, Kind.TRIE)

MAP = MapDef(
    command=("policy",),
    summary="Policy maps of endpoints",
    row=Row,
    text=Table(TITLES, lambda row: cells(row, str(row.identity)), padded="all"),
    sources=(
        Source("cilium_policy_v3_{}", (LAYOUT_19,)),
        Source(
            "cilium_policy_v2_{}",
            (
                LAYOUT_19,
                Layout("1.18", Key, Entry, decode, Kind.TRIE),
                Layout("1.17", Key, Entry17, decode_17, Kind.TRIE),
            ),
        ),
        Source(
            "cilium_policy_{}",
            (Layout("1.14", Key, Entry14, decode_14, Kind.TRIE), Layout("1.12", Key12, Entry12, decode_12)),
        ),
    ),
    order=order,
)
