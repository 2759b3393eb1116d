"""Fragmented datagrams: the ports of the first fragment, for the fragments that follow. LRU hashes.

struct ipv4_frag_id {                   struct ipv4_frag_l4ports {
    __be32 daddr, saddr;                    __be16 sport;
    __be16 id;                              __be16 dport;
    __u8   proto, pad;                  };
};

struct ipv6_frag_id {
    __be32 id;
    __u8   proto, pad[3];
    union v6addr saddr, daddr;
};
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Layout,
    MapDef,
    Named,
    Pair,
    Source,
    Struct,
    Table,
    be16,
    be32,
    ip4,
    ip6,
    layout,
    pad1,
    pad3,
    u8,
)
from cilium_py.schema.struct import swap
from cilium_py.schema.text import bracketed, go_ip, protocol_name


@layout(size=12, c="ipv4_frag_id")
class Key4(Struct):
    daddr: ip4
    saddr: ip4
    id: be16
    proto: u8
    pad: pad1


@layout(size=40, c="ipv6_frag_id")
class Key6(Struct):
    id: be32
    proto: u8
    pad: pad3
    saddr: ip6
    daddr: ip6


@layout(size=4, c="ipv4_frag_l4ports")
class Ports4(Struct):
    sport: be16
    dport: be16


@layout(size=4, c="ipv6_frag_l4ports")
class Ports6(Struct):
    sport: be16
    dport: be16


class Row(NamedTuple):
    id: int
    protocol: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int


def decode(key: Key4 | Key6, ports: Ports4 | Ports6) -> Row:
    return Row(key.id, protocol_name(key.proto), key.saddr, ports.sport, key.daddr, ports.dport)


def cells(row: Row) -> tuple[str, ...]:
    return (
        str(row.id), row.protocol, bracketed(row.source, row.source_port),
        bracketed(row.destination, row.destination_port),
    )  # fmt: skip


def order(row: Row) -> tuple[int, bytes, bytes, int, str]:
    return len(row.source), row.source, row.destination, row.id, row.protocol


def compat_ends(row: Row) -> tuple[str, str]:
    """Source and destination as cilium-dbg has them: ports byte-swapped, only the second address in brackets."""
    source, destination = swap(row.source_port, 2), swap(row.destination_port, 2)
    return f"{go_ip(row.source)}:{source}", bracketed(row.destination, destination)


def compat_cells(row: Row) -> tuple[str, ...]:
    return str(row.id), row.protocol, *compat_ends(row)


FRAGMENT = GoType("ID", "Proto", "SourceAddress", "DestAddress")


def compat_item(pair: Pair) -> GoStruct:
    row = pair.row
    return FRAGMENT(row.id, Named(pair.key.proto, row.protocol), *compat_ends(row))


TITLES = ("ID", "PROTO", "SOURCE ADDRESS:PORT", "DEST ADDRESS:PORT")

MAP = MapDef(
    command=("frag",),
    summary="Fragmented datagrams in flight",
    row=Row,
    text=Table(TITLES, cells, padded="none", titles_when_empty=False),
    sources=(
        Source("cilium_ipv4_frag_datagrams", (Layout("1.12", Key4, Ports4, decode),), family=4),
        Source("cilium_ipv6_frag_datagrams", (Layout("1.18", Key6, Ports6, decode),), family=6),
    ),
    order=order,
    compat=GoList(
        compat_item, text=Table(TITLES, compat_cells, padded="none", titles_when_empty=False), nil_when_empty=True
    ),
)
