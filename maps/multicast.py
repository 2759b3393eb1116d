"""Multicast: groups, and who gets their packets. The outer map is a hash of maps: group address -> its subscribers.

key: __be32 address                 struct mcast_subscriber_v4 {
                                        __be32 saddr;
                                        __u32  ifindex;
                                        __u16  pad1; __u8 pad2;
                                        __u8   flags;
                                    };

A subscriber with any flag is on another node, behind the tunnel device that the interface index names.
"""

from collections.abc import Iterator
from typing import NamedTuple

from cilium_py.errors import LayoutMismatch, WrongUsage
from cilium_py.schema import (
    Address,
    GoField,
    GoList,
    GoStruct,
    GoType,
    InnerMap,
    Kind,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    ip4,
    layout,
    pad3,
    u8,
    u32,
)
from cilium_py.schema.golang import Marshaled
from cilium_py.schema.text import ip, parse_ip

REMOTE = 1
COLUMN = 16


@layout(size=4)
class Key(Struct):
    value: ip4


@layout(size=12, c="mcast_subscriber_v4")
class Value(Struct):
    saddr: ip4
    ifindex: u32
    pad: pad3
    flags: u8


class Subscriber(NamedTuple):
    address: Address
    ifindex: int
    remote: bool


class Row(NamedTuple):
    group: Address
    subscribers: list[Subscriber]


def decode(key: Key, inner: list[tuple[bytes, bytes]]) -> Row:
    for _, value in inner:
        if len(value) != Value.size:
            raise LayoutMismatch(f"group {ip(key.value)}: subscribers of {len(value)} bytes, known are {Value.size}")
    values = (Value.unpack(value) for _, value in inner)
    return Row(key.value, sorted(Subscriber(value.saddr, value.ifindex, value.flags != 0) for value in values))


def cells(row: Row) -> tuple[str]:
    return (ip(row.group),)


def kind_of(*, remote: bool) -> str:
    return "Remote Node" if remote else "Local Endpoint"


def subscriber_lines(row: Row) -> Iterator[str]:
    """Columns of `multicast subscriber list`: the group beside its first subscriber, or alone if it has none."""
    group = ip(row.group)
    for subscriber in row.subscribers:
        yield f"{group:{COLUMN}}{ip(subscriber.address):{COLUMN}}{kind_of(remote=subscriber.remote):{COLUMN}}"
        group = ""
    if group:
        yield f"{group:{COLUMN}}"


SUBSCRIBER_TITLES = "".join(f"{title:{COLUMN}}" for title in ("Group", "Subscriber", "Type"))

SUBSCRIBER = GoType("SAddr", "Ifindex", "IsRemote")
GROUP = GoType(GoField("GroupAddr", "group_address"), GoField("Subscribers", "subscribers"))


def compat_item(pair: Pair) -> Marshaled:
    return Marshaled(ip(pair.row.group))


def compat_group(row: Row) -> GoStruct:
    """A record of `cilium-dbg bpf multicast subscriber list -o json`."""
    subscribers = [SUBSCRIBER(Marshaled(ip(address)), *rest, reference="pointer") for address, *rest in row.subscribers]
    return GROUP(Marshaled(ip(row.group)), subscribers)


def parse_group(text: str) -> bytes:
    packed = parse_ip(text)
    if len(packed) != 4 or packed[0] >> 4 != 14:
        raise WrongUsage(f"{text!r} is not an IPv4 multicast group", "groups lie between 224.0.0.0 and 239.255.255.255")
    return packed


def parse_subscriber(text: str) -> bytes:
    packed = parse_ip(text)
    if len(packed) != 4:
        raise WrongUsage(f"{text!r} is not an IPv4 address", "subscribers are IPv4 only")
    return packed


def group_of(row: Row) -> bytes:
    return row.group


MAP = MapDef(
    command=("multicast", "group"),
    summary="Multicast groups",
    row=Row,
    text=Table(("Group Address",), cells, padded="none"),
    sources=(Source("cilium_mcast_group_outer_v4_map", (Layout("1.16", Key, InnerMap, decode, Kind.MAPS),)),),
    order=group_of,
    compat=GoList(compat_item, order=group_of),
)
