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
from cilium_py.schema.decoder import declared
from cilium_py.schema.derived import Left, Since, Summary
from cilium_py.schema.form import Column, Columns, Either, Name, Names, Seconds, Sum, key, value
from cilium_py.schema.template import Each, Template, Unless, When
from cilium_py.schema.text import PROTOCOLS, go_ip

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

NEVER = 0xFFFFFFFF
"""The lifetime of an entry that no garbage collection removes."""

FLAG_NAMES = {
    1 << 0: "RxClosing", 1 << 1: "TxClosing", 1 << 2: "Nat64", 1 << 3: "LBLoopback", 1 << 4: "SeenNonSyn",
    1 << 5: "NodePort", 1 << 6: "ProxyRedirect", 1 << 7: "DSRInternal", 1 << 8: "FromL7LB", 1 << 10: "FromTunnel",
}  # fmt: skip
RESERVED_FLAG = 1 << 9
UNKNOWN_FLAGS = 0xFFFF & ~(sum(FLAG_NAMES) | RESERVED_FLAG)


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
    """OUT of what leaves an endpoint, IN of what enters one, SVC of the choice of a backend."""
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    related: bool
    """Of ICMP errors about a connection."""
    expires: int
    """In the clock of conntrack: seconds of CLOCK_MONOTONIC, or jiffies; so are the two reports."""
    packets: int
    bytes: int
    rx_flags_seen: int
    """TCP flags as bits, of what the endpoint received; `tx` of what it sent."""
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


SERVICE = key.flags.has(TUPLE_SERVICE)
ENDS: Columns = {
    "protocol": Name(key.nexthdr, PROTOCOLS),
    "direction": Either(SERVICE, "SVC", Either(key.flags.has(TUPLE_IN), "IN", "OUT")),
    "source": Either(SERVICE, key.saddr, key.daddr),
    "source_port": Either(SERVICE, key.dport, key.sport),
    "destination": Either(SERVICE, key.daddr, key.saddr),
    "destination_port": Either(SERVICE, key.sport, key.dport),
    "related": key.flags.has(TUPLE_RELATED),
}
STATE: Columns = {
    "expires": value.lifetime,
    "rx_flags_seen": value.rx_flags_seen,
    "last_rx_report": value.last_rx_report,
    "tx_flags_seen": value.tx_flags_seen,
    "last_tx_report": value.last_tx_report,
    "flags": value.flags,
    "flag_names": Names(value.flags, FLAG_NAMES),
    "rev_nat": value.rev_nat_index,
    "source_identity": value.src_sec_id,
}
COLUMNS: Columns = {
    **ENDS, **STATE, "packets": value.packets, "bytes": value.bytes, "backend_id": value.backend_id,
}  # fmt: skip
COLUMNS_12: Columns = {
    **ENDS,
    **STATE,
    "packets": Sum((value.rx_packets, value.tx_packets)),
    "bytes": Either(SERVICE, value.tx_bytes, Sum((value.rx_bytes, value.tx_bytes))),
    "backend_id": Either(SERVICE, value.rx_bytes, 0),
}


def columns_19(address_size: int) -> Columns:
    """An entry that has a nat_port has an address where others have their backend."""

    def translated(then: Column, otherwise: Column) -> Column:
        return Either(SERVICE, otherwise, Either(value.nat_port.equals(0), otherwise, then))

    return {
        **COLUMNS,
        "backend_id": translated(0, value.backend_id),
        "nat_address": translated(value.reserved0.first(address_size), None),
        "nat_port": translated(value.nat_port, None),
    }


def remaining(now: int, hertz: int) -> Columns:
    """The column that says how long an entry has left, by the clock that it was made by."""
    return {"remaining": Seconds(value.lifetime, now, hertz, left=True)}


SEEN_NON_SYN = 1 << 4
RST = 1 << 2


def state(row: Row) -> str:
    """How far a TCP connection has got; empty for other protocols."""
    if row.protocol != "TCP":
        return ""
    if (row.rx_flags_seen | row.tx_flags_seen) & RST:
        return "RESET"
    if row.flags & 0b11:
        return "CLOSED" if row.flags & 0b11 == 0b11 else "CLOSING"
    return "ESTABLISHED" if row.flags & SEEN_NON_SYN else "SYN-SENT"


LINE = Template(
    Row,
    "{protocol} {direction} {source:go}:{source_port} -> {destination:go}:{destination_port}",
    When("related", " related"),
    " expires={expires}",
    When("remaining", " (remaining: {remaining} sec(s))"),
    " Packets={packets} Bytes={bytes} RxFlagsSeen={rx_flags_seen:#04x} LastRxReport={last_rx_report}",
    " TxFlagsSeen={tx_flags_seen:#04x} LastTxReport={last_tx_report} Flags={flags:#06x} [ ",
    Each("flag_names", "{} "),
    When("flags", f"Unknown={{flags&{UNKNOWN_FLAGS}:#06x}} ", bits=UNKNOWN_FLAGS),
    "] RevNAT={rev_nat} SourceSecurityID={source_identity} BackendID={backend_id}",
    When("nat_port", " NatPort={nat_port}"),
    " ",
)
"""The line of `cilium-dbg bpf ct list`."""
IS_SHOWN = Unless("protocol", PROTOCOLS[0])
"""cilium-dbg's text leaves out entries without a protocol."""


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

    def text() -> str:
        ends = "{}:{} --> {}:{}" if len(daddr) == 4 else "[{}]:{} --> [{}]:{}"
        return f"{ends.format(go_ip(saddr), sport, go_ip(daddr), dport)}, {nexthdr}, {flags}"

    within, outer = (GLOBAL_4, KEY_4) if len(daddr) == 4 else (GLOBAL_6, KEY_6)
    return outer(within(TUPLE(*tuple_key)), text=text, reference="interface")


def compat_item(entry: Pair) -> GoStruct:
    """A record of `cilium-dbg bpf ct list -o json`: the reverse NAT index too is as it lies in memory."""
    return RECORD(compat_key(entry.key), ENTRY(*entry.value))


def layouts(key: type[Key4] | type[Key6], address_size: int) -> tuple[Layout[Row], ...]:
    return (
        declared("1.19", Row, key, Entry19, columns_19(address_size)),
        declared("1.18", Row, key, Entry, COLUMNS),
        declared("1.16", Row, key, Entry16, COLUMNS),
        declared("1.12", Row, key, Entry12, COLUMNS_12),
    )


LAYOUTS_4, LAYOUTS_6 = layouts(Key4, 4), layouts(Key6, 16)
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
    text=Line(LINE, shown=IS_SHOWN),
    sources=GLOBAL,
    scoped=CLUSTER,
    can_flush=True,
    compat=GoList(compat_item, is_stored=True, blank_line_after_map=True),
    derived=(
        Left("remaining", "expires"),
        Since("idle", ("last_rx_report", "last_tx_report")),
        Summary("state", state, ("protocol", "rx_flags_seen", "tx_flags_seen", "flags")),
    ),
)
