"""Local endpoints: the interface, identity and MACs behind each address of this node.

struct endpoint_key {                           struct endpoint_info {
    union { __be32 ip4; union v6addr ip6; };        __u32 ifindex; __u16 unused; __u16 lxc_id;
    __u8  family; __u8 key; __u16 cluster_id;       __u32 flags; /* 4 bytes of padding */
};                                                  mac_t mac, node_mac;
                                                    __u32 sec_id, parent_ifindex, pad[2];
                                                };

An entry with flag 1 is the host itself: nothing else in it means anything.
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoTable,
    Layout,
    Mac,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    Word,
    b16,
    layout,
    mac8,
    pad1,
    pad2,
    pad4,
    pad8,
    u8,
    u16,
    u32,
)
from cilium_py.schema.text import go_ip, parse_ip, unmapped

FAMILY_4, FAMILY_6 = 1, 2
HOST = 1


@layout(size=20, c="endpoint_key")
class Key(Struct):
    ip: b16
    family: u8
    key: u8
    cluster_id: u16


@layout(size=20)
class Key14(Struct):
    ip: b16
    family: u8
    key: u8
    cluster_id: u8
    pad: pad1


@layout(size=20)
class Key12(Struct):
    ip: b16
    family: u8
    key: u8
    pad: pad2


@layout(size=48)
class Value20(Struct):
    ifindex: u32
    unused: u16
    lxc_id: u16
    flags: u32
    rt_info: u32
    mac: mac8
    node_mac: mac8
    sec_id: u32
    parent_ifindex: u32
    pad: pad8


@layout(size=48, c="endpoint_info")
class Value(Struct):
    ifindex: u32
    unused: u16
    lxc_id: u16
    flags: u32
    alignment: pad4
    mac: mac8
    node_mac: mac8
    sec_id: u32
    parent_ifindex: u32
    pad: pad8


@layout(size=48)
class Value14(Struct):
    ifindex: u32
    unused: u16
    lxc_id: u16
    flags: u32
    alignment: pad4
    mac: mac8
    node_mac: mac8
    sec_id: u32
    pad: pad4
    pad1: pad8


@layout(size=48)
class Value12(Struct):
    ifindex: u32
    unused: u16
    lxc_id: u16
    flags: u32
    alignment: pad4
    mac: mac8
    node_mac: mac8
    pad: pad8
    pad1: pad8


class Row(NamedTuple):
    address: Address | None
    """None in an entry of an unknown family."""
    cluster_id: int
    endpoint_id: int
    identity: int
    flags: int
    host: bool
    ifindex: int
    mac: Mac
    node_mac: Mac
    parent_ifindex: int
    key: int


def decode(key: Key, value: Value | Value20) -> Row:
    return _row(key, value, key.cluster_id, value.sec_id, value.parent_ifindex)


def decode_15(key: Key | Key14, value: Value14) -> Row:
    return _row(key, value, key.cluster_id, value.sec_id, 0)


def decode_12(key: Key12, value: Value12) -> Row:
    return _row(key, value, 0, 0, 0)


def _row(
    key: Key | Key14 | Key12, value: Value | Value20 | Value14 | Value12, cluster_id: int, identity: int, parent: int
) -> Row:
    width = {FAMILY_4: 4, FAMILY_6: 16}.get(key.family)
    address = key.ip[:width] if width else None
    return Row(
        address, cluster_id, value.lxc_id, identity, value.flags, bool(value.flags & HOST), value.ifindex,
        value.mac, value.node_mac, parent, key.key,
    )  # fmt: skip


def address_text(row: Row) -> str:
    """The address, the cluster if it is another one, and the key of the entry."""
    cluster = f"@{row.cluster_id}" if row.cluster_id else ""
    return f"{go_ip(row.address)}{cluster}:{row.key}" if row.address else "nil"


def info_text(row: Row) -> str:
    if row.host:
        return "(localhost)"
    return (
        f"id={row.endpoint_id:<5} sec_id={row.identity:<5} flags={row.flags:#06X} ifindex={row.ifindex:<3}"
        f" mac={_mac(row.mac)} nodemac={_mac(row.node_mac)} parent_ifindex={row.parent_ifindex:<3}"
    ).replace("flags=0X", "flags=0x")


def _mac(packed: bytes) -> str:
    return packed[:6].hex(":").upper()


def order(row: Row) -> tuple[int, bytes, int]:
    address = row.address or b""
    return len(address), address, row.cluster_id


def compat_entry(pair: Pair) -> tuple[str, str]:
    return address_text(pair.row), info_text(pair.row)


def make_key(address: bytes) -> tuple[str, dict[str, int | bytes]]:
    packed = unmapped(address)
    family = FAMILY_4 if len(packed) == 4 else FAMILY_6
    return "cilium_lxc", {"ip": packed.ljust(16, b"\0"), "family": family}


MAP = MapDef(
    command=("endpoint",),
    summary="Endpoints of this node by address",
    row=Row,
    text=Table(("IP ADDRESS", "LOCAL ENDPOINT INFO"), lambda row: (address_text(row), info_text(row))),
    sources=(
        Source(
            "cilium_lxc",
            (
                Layout("1.20", Key, Value20, decode),
                Layout("1.17", Key, Value, decode),
                Layout("1.15", Key, Value14, decode_15),
                Layout("1.14", Key14, Value14, decode_15),
                Layout("1.12", Key12, Value12, decode_12),
            ),
            assumed="1.17",
        ),
    ),
    order=order,
    key=(Word("address", parse_ip, "10.244.1.7"),),
    make_key=make_key,
    compat=GoTable(("IP ADDRESS", "LOCAL ENDPOINT INFO"), compat_entry, titles_when_empty=True),
)
