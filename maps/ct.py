"""Conntrack: one entry a connection and direction, in LRU hashes for TCP and for everything else, IPv4 and IPv6.

struct ipv4_ct_tuple {              struct ct_entry {
    __be32 daddr, saddr;                __u64 reserved0, backend_id, packets, bytes;
    __be16 dport, sport;                __u32 lifetime;
    __u8   nexthdr, flags;              __u16 rx_closing:1, tx_closing:1, ... from_tunnel:1;
};                                      __be16 rev_nat_index; __u16 reserved4;
                                        __u8  tx_flags_seen, rx_flags_seen;
                                        __u32 src_sec_id, last_tx_report, last_rx_report;
                                    };

An entry of a flow (OUT, IN) is stored turned round: daddr and sport are the ends of the side that opened it. A
service entry (SVC) has the client's addresses as they are. Times are seconds of CLOCK_MONOTONIC, or jiffies >> 8 on
a node whose agent runs with jiffies. Up to 1.15 packets and bytes were counted for each direction, and a service
entry had its backend in the place of the bytes received.
"""

from functools import lru_cache
from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.schema import (
    Address,
    Bits,
    GoField,
    GoList,
    GoStruct,
    GoType,
    Int,
    Layout,
    Line,
    MapDef,
    Pair,
    Source,
    Struct,
    be16,
    ip4,
    ip6,
    layout,
    u8,
    u16,
    u32,
    u64,
)
from cilium_py.schema.text import endpoint, flag_names, go_ip, protocol_name

TUPLE_OUT, TUPLE_IN, TUPLE_RELATED, TUPLE_SERVICE = 0, 1, 2, 4

CtFlags: TypeAlias = Annotated[
    int,
    Int("H", 2),
    Bits((
        "rx_closing", "tx_closing", None, "lb_loopback", "seen_non_syn", "node_port", "proxy_redirect",
        "dsr_internal", "from_l7lb", None, "from_tunnel",
    )),
]  # fmt: skip

CtFlags12: TypeAlias = Annotated[
    int,
    Int("H", 2),
    Bits((
        "rx_closing", "tx_closing", None, "lb_loopback", "seen_non_syn", "node_port", "proxy_redirect", None,
        "from_l7lb",
    )),
]  # fmt: skip

FLAG_NAMES = {
    1 << 0: "RxClosing", 1 << 1: "TxClosing", 1 << 2: "Nat64", 1 << 3: "LBLoopback", 1 << 4: "SeenNonSyn",
    1 << 5: "NodePort", 1 << 6: "ProxyRedirect", 1 << 7: "DSRInternal", 1 << 8: "FromL7LB", 1 << 10: "FromTunnel",
}  # fmt: skip
RESERVED_FLAG = 1 << 9
KNOWN_FLAGS = sum(FLAG_NAMES) | RESERVED_FLAG


@layout(size=14, c="ipv4_ct_tuple")
class Key4(Struct):
    daddr: ip4
    saddr: ip4
    dport: be16
    sport: be16
    nexthdr: u8
    flags: u8


@layout(size=38, c="ipv6_ct_tuple")
class Key6(Struct):
    daddr: ip6
    saddr: ip6
    dport: be16
    sport: be16
    nexthdr: u8
    flags: u8


@layout(size=56, c="ct_entry")
class Entry(Struct):
    reserved0: u64
    backend_id: u64
    packets: u64
    bytes: u64
    lifetime: u32
    flags: CtFlags
    rev_nat_index: be16
    reserved4: u16
    tx_flags_seen: u8
    rx_flags_seen: u8
    src_sec_id: u32
    last_tx_report: u32
    last_rx_report: u32


@layout(size=56)
class Entry19(Struct):
    reserved0: u64
    """With backend_id the 16 bytes of nat_addr, in an entry that has a nat_port."""
    backend_id: u64
    packets: u64
    bytes: u64
    lifetime: u32
    flags: CtFlags
    rev_nat_index: be16
    nat_port: be16
    tx_flags_seen: u8
    rx_flags_seen: u8
    src_sec_id: u32
    last_tx_report: u32
    last_rx_report: u32


@layout(size=56)
class Entry16(Struct):
    reserved0: u64
    backend_id: u64
    packets: u64
    bytes: u64
    lifetime: u32
    flags: CtFlags
    rev_nat_index: be16
    ifindex: u16
    tx_flags_seen: u8
    rx_flags_seen: u8
    src_sec_id: u32
    last_tx_report: u32
    last_rx_report: u32


@layout(size=56)
class Entry12(Struct):
    rx_packets: u64
    rx_bytes: u64
    tx_packets: u64
    tx_bytes: u64
    lifetime: u32
    flags: CtFlags12
    rev_nat_index: be16
    ifindex: u16
    tx_flags_seen: u8
    rx_flags_seen: u8
    src_sec_id: u32
    last_tx_report: u32
    last_rx_report: u32


class Row(NamedTuple):
    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    related: bool
    expires: int
    packets: int
    bytes: int
    rx_flags_seen: int
    last_rx_report: int
    tx_flags_seen: int
    last_tx_report: int
    flags: int
    flag_names: list[str]
    rev_nat: int
    source_identity: int
    backend_id: int
    nat_address: Address | None = None
    """Since 1.19: what the source of an outgoing flow is translated to."""
    nat_port: int | None = None
    remaining: int | None = None
    """Seconds until the entry expires, where it was asked for."""


def direction(flags: int) -> str:
    """OUT, IN or SVC."""
    if flags & TUPLE_SERVICE:
        return "SVC"
    return "IN" if flags & TUPLE_IN else "OUT"


def decode(key: Key4 | Key6, entry: Entry | Entry16) -> Row:
    return _row(key, entry, entry.packets, entry.bytes, entry.backend_id)


def decode_19(key: Key4 | Key6, entry: Entry19) -> Row:
    if not entry.nat_port or key.flags & TUPLE_SERVICE:
        return _row(key, entry, entry.packets, entry.bytes, entry.backend_id)
    address = entry.pack()[: 4 if isinstance(key, Key4) else 16]
    row = _row(key, entry, entry.packets, entry.bytes, 0)
    return row._replace(nat_address=address, nat_port=entry.nat_port)


def decode_12(key: Key4 | Key6, entry: Entry12) -> Row:
    packets = entry.rx_packets + entry.tx_packets
    if key.flags & TUPLE_SERVICE:
        return _row(key, entry, packets, entry.tx_bytes, entry.rx_bytes)
    return _row(key, entry, packets, entry.rx_bytes + entry.tx_bytes, 0)


def _row(key: Key4 | Key6, entry: Entry | Entry19 | Entry16 | Entry12, packets: int, size: int, backend_id: int) -> Row:
    if key.flags & TUPLE_SERVICE:
        ends = key.saddr, key.dport, key.daddr, key.sport
    else:
        ends = key.daddr, key.sport, key.saddr, key.dport
    flags = entry.flags
    return Row(
        protocol_name(key.nexthdr),
        direction(key.flags),
        *ends,
        bool(key.flags & TUPLE_RELATED),
        entry.lifetime,
        packets,
        size,
        entry.rx_flags_seen,
        entry.last_rx_report,
        entry.tx_flags_seen,
        entry.last_tx_report,
        flags,
        names_of(flags),
        entry.rev_nat_index,
        entry.src_sec_id,
        backend_id,
    )


@lru_cache(4096)
def names_of(flags: int) -> list[str]:
    """The list is shared: nobody changes it."""
    return flag_names(flags, FLAG_NAMES)


@lru_cache(4096)
def flags_text(flags: int) -> str:
    """[ SeenNonSyn Unknown=0x1000 ]"""
    unknown = flags & ~KNOWN_FLAGS
    return " ".join(("[", *names_of(flags), *([f"Unknown={unknown:#06x}"] if unknown else []), "]"))


def line(row: Row) -> str:
    """The line of `cilium-dbg bpf ct list`."""
    remaining = "" if row.remaining is None else f" (remaining: {row.remaining} sec(s))"
    translated = f" NatPort={row.nat_port}" if row.nat_port is not None else ""
    return (
        f"{row.protocol} {row.direction} {endpoint(row.source, row.source_port)}"
        f" -> {endpoint(row.destination, row.destination_port)}{' related' if row.related else ''}"
        f" expires={row.expires}{remaining} Packets={row.packets} Bytes={row.bytes}"
        f" RxFlagsSeen={row.rx_flags_seen:#04x} LastRxReport={row.last_rx_report}"
        f" TxFlagsSeen={row.tx_flags_seen:#04x} LastTxReport={row.last_tx_report}"
        f" Flags={row.flags:#06x} {flags_text(row.flags)}"
        f" RevNAT={row.rev_nat} SourceSecurityID={row.source_identity} BackendID={row.backend_id}{translated} "
    )


def is_shown(row: Row) -> bool:
    """cilium-dbg's text leaves out entries without a protocol."""
    return row.protocol != "ANY"


TUPLE = GoType("DestAddr", "SourceAddr", "DestPort", "SourcePort", "NextHeader", "Flags")
GLOBAL_4 = GoType(GoField("TupleKey4", embedded=True))
KEY_4 = GoType(GoField("TupleKey4Global", embedded=True))
GLOBAL_6 = GoType(GoField("TupleKey6", embedded=True))
KEY_6 = GoType(GoField("TupleKey6Global", embedded=True))
ENTRY = GoType(
    "Reserved0", "BackendID", "Packets", "Bytes", "Lifetime", "Flags", "RevNAT", "Reserved4", "TxFlagsSeen",
    "RxFlagsSeen", "SourceSecurityID", "LastTxReport", "LastRxReport",
)  # fmt: skip
RECORD = GoType("Key", "Value")


def compat_key(tuple_key: Key4 | Key6) -> GoStruct:
    """The key of a record of `cilium-dbg bpf ct list -o json`, and of NAT's: ports as they lie in memory."""
    daddr, saddr, dport, sport, nexthdr, flags = tuple_key
    ends = "{}:{} --> {}:{}" if len(daddr) == 4 else "[{}]:{} --> [{}]:{}"
    text = f"{ends.format(go_ip(saddr), sport, go_ip(daddr), dport)}, {nexthdr}, {flags}"
    within, outer = (GLOBAL_4, KEY_4) if len(daddr) == 4 else (GLOBAL_6, KEY_6)
    return outer(within(TUPLE(*tuple_key)), text=text, reference="interface")


def compat_item(entry: Pair) -> GoStruct:
    """A record of `cilium-dbg bpf ct list -o json`: the reverse NAT index too is as it lies in memory."""
    return RECORD(compat_key(entry.key), ENTRY(*entry.value))


def layouts(key: type[Key4] | type[Key6]) -> tuple[Layout[Row], ...]:
    return (
        Layout("1.19", key, Entry19, decode_19),
        Layout("1.18", key, Entry, decode),
        Layout("1.16", key, Entry16, decode),
        Layout("1.12", key, Entry12, decode_12),
    )


LAYOUTS_4, LAYOUTS_6 = layouts(Key4), layouts(Key6)
GLOBAL = (
    Source("cilium_ct4_global", LAYOUTS_4, family=4, assumed="1.18"),
    Source("cilium_ct_any4_global", LAYOUTS_4, family=4, assumed="1.18"),
    Source("cilium_ct6_global", LAYOUTS_6, family=6, assumed="1.18"),
    Source("cilium_ct_any6_global", LAYOUTS_6, family=6, assumed="1.18"),
)
CLUSTER = (
    Source("cilium_per_cluster_ct_tcp4_{}", LAYOUTS_4, family=4, assumed="1.18"),
    Source("cilium_per_cluster_ct_any4_{}", LAYOUTS_4, family=4, assumed="1.18"),
    Source("cilium_per_cluster_ct_tcp6_{}", LAYOUTS_6, family=6, assumed="1.18"),
    Source("cilium_per_cluster_ct_any6_{}", LAYOUTS_6, family=6, assumed="1.18"),
)

MAP = MapDef(
    command=("ct",),
    summary="Connection tracking tables",
    row=Row,
    text=Line(line, shown=is_shown),
    sources=GLOBAL,
    scoped=CLUSTER,
    can_flush=True,
    compat=GoList(compat_item, blank_line_after_map=True),
)
