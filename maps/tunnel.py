"""Tunnel map (up to 1.17): the node that a pod prefix lies behind. Later releases keep this in the ipcache.

struct tunnel_key {                 struct tunnel_value {
    union { __u32 ip4;                  union { __u32 ip4;
            union v6addr ip6; };                union v6addr ip6; };
    __u8  family, pad;                  __u8  family, key;
    __u16 cluster_id;                   __u16 pad;
};                                  };

1.14 had an 8-bit cluster id at offset 17 and the node id in the last two bytes of the value; before, there was none.
"""

from typing import NamedTuple

from cilium_py.schema import Address, Layout, MapDef, Source, Struct, Table, b16, layout, pad1, pad2, pad3, u8, u16
from cilium_py.schema.text import ip

FAMILY_4 = 1


@layout(size=20)
class Key(Struct):
    ip6: b16
    family: u8
    pad: pad1
    cluster_id: u16


@layout(size=20)
class KeySmallCluster(Struct):
    """Of 1.14."""

    ip6: b16
    family: u8
    cluster_id: u8
    pad: pad2


@layout(size=20)
class KeyWithoutCluster(Struct):
    """Up to 1.13."""

    ip6: b16
    family: u8
    pad: pad3


@layout(size=20)
class Value(Struct):
    ip6: b16
    family: u8
    key: u8
    pad: pad2


@layout(size=20)
class ValueWithNode(Struct):
    """Of 1.14."""

    ip6: b16
    family: u8
    key: u8
    node_id: u16


class Row(NamedTuple):
    address: Address
    cluster: int | None
    """Since 1.14."""
    tunnel_endpoint: Address
    encrypt_key: int
    node_id: int | None
    """Of 1.14."""


def _address(side: Key | KeySmallCluster | KeyWithoutCluster | Value | ValueWithNode) -> bytes:
    return side.ip6[:4] if side.family == FAMILY_4 else side.ip6


def decode(key: Key | KeySmallCluster, value: Value) -> Row:
    return Row(_address(key), key.cluster_id, _address(value), value.key, None)


def decode_with_node(key: KeySmallCluster, value: ValueWithNode) -> Row:
    return Row(_address(key), key.cluster_id, _address(value), value.key, value.node_id)


def decode_without_cluster(key: KeyWithoutCluster, value: Value) -> Row:
    return Row(_address(key), None, _address(value), value.key, None)


def order(row: Row) -> tuple[object, ...]:
    return len(row.address), row


def cells(row: Row) -> tuple[str, ...]:
    cluster = f"@{row.cluster}" if row.cluster else ""
    return f"{ip(row.address)}{cluster}", f"{ip(row.tunnel_endpoint)}:{row.encrypt_key}"


MAP = MapDef(
    command=("tunnel",),
    summary="Tunnel endpoints of pod prefixes (up to 1.17)",
    row=Row,
    text=Table(("TUNNEL", "VALUE"), cells),
    sources=(
        Source(
            "cilium_tunnel_map",
            (
                Layout("1.15", Key, Value, decode),
                Layout("1.14", KeySmallCluster, ValueWithNode, decode_with_node),
                Layout("1.12", KeyWithoutCluster, Value, decode_without_cluster),
            ),
        ),
    ),
    order=order,
)
