"""Egress gateways: which gateway and source address the traffic of a pod to a prefix takes.

struct egress_gw_policy_key {           struct egress_gw_policy_entry {
    struct bpf_lpm_trie_key lpm_key;        __u32 egress_ip;
    __u32 saddr, daddr;                     __u32 gateway_ip;
};                                      };

struct egress_gw_policy_key6 {          struct egress_gw_policy_entry6 {
    struct bpf_lpm_trie_key lpm_key;        union v6addr egress_ip;
    union v6addr saddr, daddr;              __u32 gateway_ip, reserved[3];
};                                      };

The prefix length counts the source address and the bits of the destination. From 1.20 on there is a second IPv4 map
with the interface to leave by, and the IPv6 map grew by the same field.
"""

from dataclasses import replace
from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Kind,
    Layout,
    MapDef,
    Pair,
    Prefix,
    Source,
    Struct,
    Table,
    ip4,
    ip6,
    layout,
    pad4,
    pad12,
    u32,
)
from cilium_py.schema.text import go_ip, ip, unmapped

GATEWAYS = {bytes(4): "Not Found", b"\0\0\0\1": "Excluded CIDR"}
"""Gateway addresses that are verdicts."""


@layout(size=12, c="egress_gw_policy_key")
class Key4(Struct):
    lpm_key: u32
    saddr: ip4
    daddr: ip4


@layout(size=36, c="egress_gw_policy_key6")
class Key6(Struct):
    lpm_key: u32
    saddr: ip6
    daddr: ip6


@layout(size=8, c="egress_gw_policy_entry")
class Entry4(Struct):
    egress_ip: ip4
    gateway_ip: ip4


@layout(size=28)
class EntryWithInterface4(Struct):
    """The value of cilium_egress_gw_policy_v4_v2."""

    egress_ip: ip4
    gateway_ip: ip4
    reserved: pad12
    egress_ifindex: u32
    reserved2: pad4


@layout(size=32, c="egress_gw_policy_entry6")
class Entry6(Struct):
    egress_ip: ip6
    gateway_ip: ip4
    reserved: pad12


@layout(size=40)
class EntryWithInterface6(Struct):
    egress_ip: ip6
    gateway_ip: ip4
    reserved: pad12
    egress_ifindex: u32
    reserved2: pad4


class Row(NamedTuple):
    source: Address
    destination: Prefix
    egress_ip: Address
    gateway: Address
    verdict: str
    """Empty for a gateway; `Not Found` or `Excluded CIDR` where there is none."""
    egress_ifindex: int | None
    """Since 1.18.0 (IPv6) and 1.20; 0 leaves it to the route."""


def decode(key: Key4 | Key6, entry: Entry4 | Entry6, egress_ifindex: int | None = None) -> Row:
    return Row(
        key.saddr,
        (key.daddr, key.lpm_key - 8 * len(key.saddr)),
        entry.egress_ip,
        entry.gateway_ip,
        GATEWAYS.get(entry.gateway_ip, ""),
        egress_ifindex,
    )


def decode_with_interface(key: Key4 | Key6, entry: EntryWithInterface4 | EntryWithInterface6) -> Row:
    return decode(key, entry, entry.egress_ifindex)  # type: ignore[arg-type]  # the fields read are the same


def order(row: Row) -> tuple[object, ...]:
    return len(row.source), row


def cells(row: Row) -> tuple[str, ...]:
    address, length = row.destination
    return go_ip(row.source), f"{go_ip(address)}/{length}", ip(row.egress_ip), row.verdict or ip(row.gateway)


def compat_cells(row: Row) -> tuple[str, ...]:
    """cilium-dbg cannot say a prefix of IPv4-mapped addresses that is longer than 32 bits, or shorter than none."""
    source, destination, *rest = cells(row)
    address, length = row.destination
    return source, destination if 0 <= length <= 8 * len(unmapped(address)) else "invalid Prefix", *rest


ITEM = GoType("SourceIP", "DestCIDR", "EgressIP", "GatewayIP")


def compat_item(pair: Pair) -> GoStruct:
    return ITEM(*compat_cells(pair.row))


TITLES = ("Source IP", "Destination CIDR", "Egress IP", "Gateway IP")
TEXT = Table(TITLES, cells, padded="none", titles_when_empty=False)


MAP = MapDef(
    command=("egress",),
    summary="Egress gateway policies",
    row=Row,
    text=TEXT,
    sources=(
        Source(
            "cilium_egress_gw_policy_v4_v2",
            (Layout("1.20", Key4, EntryWithInterface4, decode_with_interface, Kind.TRIE),),
            replaces="cilium_egress_gw_policy_v4",
        ),
        Source("cilium_egress_gw_policy_v4", (Layout("1.12", Key4, Entry4, decode, Kind.TRIE),)),
        Source(
            "cilium_egress_gw_policy_v6",
            (
                Layout("1.18.0", Key6, EntryWithInterface6, decode_with_interface, Kind.TRIE),
                Layout("1.18-dev", Key6, Entry6, decode, Kind.TRIE),
            ),
        ),
    ),
    order=order,
    compat=GoList(compat_item, text=replace(TEXT, cells=compat_cells)),
)
