"""SRv6: the outer addresses that the packets of a flow came with, for its replies. Up to 1.15.

struct srv6_ipv4_2tuple {           struct srv6_ipv6_2tuple {
    __u32 src, dst;                     union v6addr src, dst;
};                                  };

The key is the inner pair of addresses, of either family; the value the outer pair.
"""

from typing import NamedTuple

from cilium_py.schema import Address, Layout, MapDef, Source, Struct, Table, ip4, ip6, layout
from cilium_py.schema.text import ip


@layout(size=8)
class Pair4(Struct):
    """struct srv6_ipv4_2tuple."""

    src: ip4
    dst: ip4


@layout(size=32)
class Pair6(Struct):
    """struct srv6_ipv6_2tuple."""

    src: ip6
    dst: ip6


class Row(NamedTuple):
    inner_source: Address
    inner_destination: Address
    outer_source: Address
    outer_destination: Address


def decode(key: Pair4 | Pair6, value: Pair6) -> Row:
    return Row(key.src, key.dst, value.src, value.dst)


def order(row: Row) -> tuple[object, ...]:
    return len(row.inner_source), row


def cells(row: Row) -> tuple[str, ...]:
    return tuple(map(ip, row))


MAP = MapDef(
    command=("srv6", "state"),
    summary="SRv6 flows and their outer addresses (up to 1.15)",
    row=Row,
    text=Table(
        ("Inner Source", "Inner Destination", "Outer Source", "Outer Destination"),
        cells,
        padded="none",
        titles_when_empty=False,
    ),
    sources=(
        Source("cilium_srv6_state_v4", (Layout("1.13", Pair4, Pair6, decode),)),
        Source("cilium_srv6_state_v6", (Layout("1.13", Pair6, Pair6, decode),)),
    ),
    order=order,
)
