"""The ipcache: which identity an address has, and through which node it is reached. An LPM trie by prefix.

struct ipcache_key {                        struct remote_endpoint_info {
    struct bpf_lpm_trie_key lpm_key;            __u32 sec_identity;
    __u16 cluster_id; __u8 pad1;                union { __u32 ip4; union v6addr ip6; } tunnel_endpoint;
    __u8  family;                               __u16 pad; __u8 key;
    union { __be32 ip4; union v6addr ip6; };    __u8  flag_skip_tunnel:1, flag_has_tunnel_ep:1,
};                                                    flag_ipv6_tunnel_ep:1, flag_remote_cluster:1, pad2:4;
                                            };

The prefix length counts the 32 bits of cluster id, padding and family that precede the address. Up to 1.17 the map
was `cilium_ipcache`, and its tunnel endpoint always an IPv4 address.
"""

from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.schema import (
    Address,
    Bits,
    GoTable,
    Int,
    Layout,
    MapDef,
    Pair,
    Prefix,
    Source,
    Struct,
    Table,
    b16,
    ip4,
    layout,
    pad1,
    pad2,
    pad3,
    u8,
    u16,
    u32,
)
from cilium_py.schema.text import flag_names, ip, prefix

STATIC_BITS = 32
FAMILY_4, FAMILY_6 = 1, 2
SKIP_TUNNEL, HAS_TUNNEL, IPV6_TUNNEL, REMOTE_CLUSTER = 1, 2, 4, 8
FLAG_NAMES = {SKIP_TUNNEL: "skiptunnel", HAS_TUNNEL: "hastunnel", IPV6_TUNNEL: "ipv6tunnel"}
FLAG_NAMES_19 = {**FLAG_NAMES, REMOTE_CLUSTER: "remotecluster"}

Flags: TypeAlias = Annotated[int, Int("B", 1), Bits(("flag_skip_tunnel", "flag_has_tunnel_ep", "flag_ipv6_tunnel_ep"))]
Flags19: TypeAlias = Annotated[
    int,
    Int("B", 1),
    Bits(("flag_skip_tunnel", "flag_has_tunnel_ep", "flag_ipv6_tunnel_ep", "flag_remote_cluster")),
]
Flags16: TypeAlias = Annotated[int, Int("B", 1), Bits(("flag_skip_tunnel",))]


@layout(size=24, c="ipcache_key")
class Key(Struct):
    prefixlen: u32
    cluster_id: u16
    pad1: pad1
    family: u8
    ip: b16


@layout(size=24)
class Key14(Struct):
    prefixlen: u32
    pad1: pad2
    cluster_id: u8
    family: u8
    ip: b16


@layout(size=24)
class Key12(Struct):
    prefixlen: u32
    pad1: pad3
    family: u8
    ip: b16


@layout(size=24, c="remote_endpoint_info")
class Value(Struct):
    sec_identity: u32
    tunnel_endpoint: b16
    pad: pad2
    key: u8
    flags: Flags


@layout(size=24)
class Value19(Struct):
    sec_identity: u32
    tunnel_endpoint: b16
    pad: pad2
    key: u8
    flags: Flags19


@layout(size=12)
class Value16(Struct):
    sec_label: u32
    tunnel_endpoint: ip4
    pad: pad2
    key: u8
    flags: Flags16


@layout(size=12)
class Value15(Struct):
    sec_label: u32
    tunnel_endpoint: ip4
    pad: pad2
    key: u8
    pad2: pad1


@layout(size=12)
class Value14(Struct):
    sec_label: u32
    tunnel_endpoint: ip4
    node_id: u16
    key: u8
    pad: pad1


@layout(size=12)
class Value12(Struct):
    sec_label: u32
    tunnel_endpoint: ip4
    key: u8
    pad: pad3


class Row(NamedTuple):
    prefix: Prefix | None
    """None for a key that is no prefix: of an unknown family, or with an impossible length."""
    cluster_id: int
    identity: int
    encrypt_key: int
    tunnel_endpoint: Address
    flags: list[str]


def prefix_of(key: Key | Key14 | Key12) -> tuple[bytes, int] | None:
    length = key.prefixlen - STATIC_BITS
    width = {FAMILY_4: 4, FAMILY_6: 16}.get(key.family)
    return (key.ip[:width], length) if width and 0 <= length <= width * 8 else None


def decode(key: Key, value: Value) -> Row:
    return _row(key, value, FLAG_NAMES)


def decode_19(key: Key, value: Value19) -> Row:
    return _row(key, value, FLAG_NAMES_19)


def _row(key: Key, value: Value | Value19, names: dict[int, str]) -> Row:
    endpoint = value.tunnel_endpoint if value.flags & IPV6_TUNNEL else value.tunnel_endpoint[:4]
    flags = flag_names(value.flags, names)
    return Row(prefix_of(key), key.cluster_id, value.sec_identity, value.key, endpoint, flags)


def decode_16(key: Key, value: Value16) -> Row:
    flags = flag_names(value.flags & SKIP_TUNNEL, FLAG_NAMES)
    return Row(prefix_of(key), key.cluster_id, value.sec_label, value.key, value.tunnel_endpoint, flags)


def decode_14(key: Key | Key14, value: Value14 | Value15) -> Row:
    return Row(prefix_of(key), key.cluster_id, value.sec_label, value.key, value.tunnel_endpoint, [])


def decode_12(key: Key12, value: Value12) -> Row:
    return Row(prefix_of(key), 0, value.sec_label, value.key, value.tunnel_endpoint, [])


def prefix_text(row: Row) -> str:
    """10.0.0.0/8, with @7 behind it for cluster 7."""
    text = prefix(row.prefix) if row.prefix else "invalid Prefix"
    return f"{text}@{row.cluster_id}" if row.cluster_id else text


def identity_text(row: Row) -> str:
    flags = ",".join(row.flags) or "<none>"
    return (
        f"identity={row.identity} encryptkey={row.encrypt_key} tunnelendpoint={ip(row.tunnel_endpoint)} flags={flags}"
    )


def compat_entry(pair: Pair) -> tuple[str, str]:
    known = pair.key.family in (FAMILY_4, FAMILY_6)
    return prefix_text(pair.row) if known else "<unknown>", identity_text(pair.row)


def order(row: Row) -> tuple[bool, int, bytes, int, int]:
    address, length = row.prefix or (b"", 0)
    return row.prefix is None, len(address), address, length, row.cluster_id


def key_fields(network: tuple[bytes, int], cluster_id: int = 0) -> dict[str, int | bytes]:
    """The fields of the key of a prefix."""
    address, length = network
    family = FAMILY_4 if len(address) == 4 else FAMILY_6
    fields: dict[str, int | bytes] = {
        "prefixlen": STATIC_BITS + length, "family": family, "ip": address.ljust(16, b"\0"),
    }  # fmt: skip
    return {**fields, "cluster_id": cluster_id} if cluster_id else fields


def value_fields(
    value: type[Struct], identity: int, encrypt_key: int, tunnel_endpoint: bytes | None, skip_tunnel: bool
) -> dict[str, int | bytes]:
    """The fields of a value, in the words of one of the layouts."""
    names = {member.name for member in value.members}
    endpoint = tunnel_endpoint or bytes(4)
    fields: dict[str, int | bytes] = {
        "sec_identity" if "sec_identity" in names else "sec_label": identity, "key": encrypt_key,
    }  # fmt: skip
    if value.size == Value.size:
        has = HAS_TUNNEL | (IPV6_TUNNEL if len(endpoint) == 16 else 0) if tunnel_endpoint is not None else 0
        return {**fields, "tunnel_endpoint": endpoint.ljust(16, b"\0"), "flags": has | skip_tunnel}
    return {**fields, "tunnel_endpoint": endpoint, **({"flags": 1} if skip_tunnel else {})}


LAYOUTS = (Layout("1.19", Key, Value19, decode_19), Layout("1.18", Key, Value, decode))
LAYOUTS_V1 = (
    Layout("1.16", Key, Value16, decode_16),
    Layout("1.15", Key, Value15, decode_14),
    Layout("1.14", Key14, Value14, decode_14),
    Layout("1.12", Key12, Value12, decode_12),
)

MAP = MapDef(
    command=("ipcache",),
    summary="Identities and tunnel endpoints of addresses",
    row=Row,
    text=Table(
        ("IP PREFIX/ADDRESS", "IDENTITY"), lambda row: (prefix_text(row), identity_text(row)), titles_when_empty=False
    ),
    sources=(
        Source("cilium_ipcache_v2", LAYOUTS, replaces="cilium_ipcache", assumed="1.18"),
        Source("cilium_ipcache", LAYOUTS_V1, assumed=None),
    ),
    order=order,
    compat=GoTable(("IP PREFIX/ADDRESS", "IDENTITY"), compat_entry),
)
