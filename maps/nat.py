"""Source NAT: for each direction of a translated connection, the address and port to put in.

struct nat_entry {                  struct ipv4_nat_entry {
    __u64 created, needs_ct;            struct nat_entry common;
    __u64 pad1, pad2;                   union { struct lb4_reverse_nat nat_info;
};                                              struct { __be32 to_saddr; __be16 to_sport; };
                                                struct { __be32 to_daddr; __be16 to_dport; }; };
                                    };

The key is conntrack's tuple, stored as the packet has it. An OUT entry gives the new source, an IN entry the new
destination. `created` is in the clock of conntrack: seconds of CLOCK_MONOTONIC, or jiffies >> 8. Up to 1.13 the
place of needs_ct was host_local.
"""

from typing import Annotated, NamedTuple

from cilium_py.maps.ct import RECORD, TUPLE_IN, TUPLE_RELATED, TUPLE_SERVICE, Key4, Key6, compat_key
from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Layout,
    Line,
    MapDef,
    Pad,
    Pair,
    Source,
    Struct,
    be16,
    ip4,
    ip6,
    layout,
    u64,
)
from cilium_py.schema.text import bracketed, go_ip, protocol_name


@layout(size=40, c="ipv4_nat_entry")
class Entry4(Struct):
    created: u64
    needs_ct: u64
    pad1: u64
    pad2: u64
    to_saddr: ip4
    to_sport: be16
    pad: Annotated[bytes, Pad(2)]


@layout(size=56, c="ipv6_nat_entry")
class Entry6(Struct):
    created: u64
    needs_ct: u64
    pad1: u64
    pad2: u64
    to_saddr: ip6
    to_sport: be16
    pad: Annotated[bytes, Pad(6)]


@layout(size=40)
class OldEntry4(Struct):
    """Up to 1.13."""

    created: u64
    host_local: u64
    pad1: u64
    pad2: u64
    to_saddr: ip4
    to_sport: be16
    pad: Annotated[bytes, Pad(2)]


@layout(size=56)
class OldEntry6(Struct):
    """Up to 1.13."""

    created: u64
    host_local: u64
    pad1: u64
    pad2: u64
    to_saddr: ip6
    to_sport: be16
    pad: Annotated[bytes, Pad(6)]


class Row(NamedTuple):
    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    related: bool
    service: bool
    to: Address
    to_port: int
    created: int
    """In the clock of conntrack."""
    needs_ct: int | None
    """Since 1.14."""
    age: int | None = None
    """Seconds; None where nobody knows the clock."""
    host_local: int | None = None
    """Up to 1.13."""


def is_shown(row: Row) -> bool:
    """cilium-dbg's text leaves out entries without a protocol."""
    return row.protocol != "ANY"


def decode(key: Key4 | Key6, entry: Entry4 | Entry6) -> Row:
    return row_of(key, entry, entry.needs_ct)


def decode_old(key: Key4 | Key6, entry: OldEntry4 | OldEntry6) -> Row:
    return row_of(key, entry, None, entry.host_local)


def row_of(
    key: Key4 | Key6,
    entry: Entry4 | Entry6 | OldEntry4 | OldEntry6,
    needs_ct: int | None,
    host_local: int | None = None,
) -> Row:
    flags = key.flags
    return Row(
        protocol_name(key.nexthdr),
        "IN" if flags & TUPLE_IN else "OUT",
        key.saddr,
        key.sport,
        key.daddr,
        key.dport,
        bool(flags & TUPLE_RELATED),
        bool(flags & TUPLE_SERVICE),
        entry.to_saddr,
        entry.to_sport,
        entry.created,
        needs_ct,
        None,
        host_local,
    )


def line(row: Row) -> str:
    """The line of `cilium-dbg bpf nat list`; without an age the time of creation stands raw."""
    words = "".join(word for word, is_set in ((" related", row.related), (" service", row.service)) if is_set)
    last = f"NeedsCT={row.needs_ct}" if row.host_local is None else f"HostLocal={row.host_local}"
    created = row.created if row.age is None else f"{row.age}sec ago"
    return (
        f"{row.protocol} {row.direction} {bracketed(row.source, row.source_port)}"
        f" -> {bracketed(row.destination, row.destination_port)}{words}"
        f" XLATE_{'DST' if row.direction == 'IN' else 'SRC'} {bracketed(row.to, row.to_port)}"
        f" Created={created} {last}"
    )


ENTRY = GoType("Created", "NeedsCT", "Pad1", "Pad2", "Addr", "Port")


def compat_item(pair: Pair) -> GoStruct:
    """A record of `cilium-dbg bpf nat list -o json`: ports as they lie in memory."""
    created, needs_ct, _, _, address, port = pair.value
    text = f"Addr={go_ip(address)} Port={port} Created={created} NeedsCT={needs_ct}\n"
    value = ENTRY(*pair.value, text=text, reference="interface")
    return RECORD(compat_key(pair.key), value)


LAYOUTS_4 = (Layout("1.14", Key4, Entry4, decode), Layout("1.12", Key4, OldEntry4, decode_old))
LAYOUTS_6 = (Layout("1.14", Key6, Entry6, decode), Layout("1.12", Key6, OldEntry6, decode_old))
GLOBAL = (
    Source("cilium_snat_v4_external", LAYOUTS_4, family=4),
    Source("cilium_snat_v6_external", LAYOUTS_6, family=6),
)
CLUSTER = (
    Source("cilium_per_cluster_snat_v4_external_{}", LAYOUTS_4, family=4),
    Source("cilium_per_cluster_snat_v6_external_{}", LAYOUTS_6, family=6),
)

MAP = MapDef(
    command=("nat",),
    summary="Source NAT tables",
    row=Row,
    text=Line(line, shown=is_shown),
    sources=GLOBAL,
    scoped=CLUSTER,
    can_flush=True,
    compat=GoList(compat_item, blank_line_after_map=True),
)
