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
    Kind,
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
from cilium_py.schema.decoder import declared
from cilium_py.schema.form import Column, Columns, Either, Field, Names, Prefixed, Within, key, value
from cilium_py.schema.template import Cells, Each, Template, When

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


def prefix_in(family: int, address: Field, otherwise: Column) -> Column:
    """The prefix of a key of this family, if its length is one."""
    size = {FAMILY_4: 4, FAMILY_6: 16}[family]
    length = Within(key.prefixlen, STATIC_BITS, STATIC_BITS + 8 * size)
    prefix = Prefixed(address, key.prefixlen - STATIC_BITS)
    return Either(key.family.equals(family), Either(length, prefix, None), otherwise)


KEY: Columns = {
    "prefix": prefix_in(FAMILY_4, key.ip.first(4), prefix_in(FAMILY_6, key.ip, None)),
    "cluster_id": key.cluster_id,
    "encrypt_key": value.key,
}
COLUMNS_19: Columns = {
    **KEY,
    "identity": value.sec_identity,
    "tunnel_endpoint": Either(value.flags.has(IPV6_TUNNEL), value.tunnel_endpoint, value.tunnel_endpoint.first(4)),
    "flags": Names(value.flags, FLAG_NAMES_19),
}
COLUMNS: Columns = {**COLUMNS_19, "flags": Names(value.flags, FLAG_NAMES)}
COLUMNS_16: Columns = {
    **KEY,
    "identity": value.sec_label,
    "tunnel_endpoint": value.tunnel_endpoint,
    "flags": Names(value.flags & SKIP_TUNNEL, FLAG_NAMES),
}
NO_FLAGS = Names(value.key & 0, {})
COLUMNS_14: Columns = {**COLUMNS_16, "flags": NO_FLAGS}
COLUMNS_12: Columns = {**COLUMNS_14, "cluster_id": 0}

PREFIX_TEXT = Template(
    Row, When("prefix", "{prefix:prefix}", otherwise="invalid Prefix"), When("cluster_id", "@{cluster_id}", bits=0xFFFF)
)
"""10.0.0.0/8, with @7 behind it for cluster 7."""
IDENTITY_TEXT = Template(
    Row,
    "identity={identity} encryptkey={encrypt_key} tunnelendpoint={tunnel_endpoint:ip} flags=",
    Each("flags", "{}", between=",", none="<none>"),
)


def prefix_text(row: Row) -> str:
    return PREFIX_TEXT(row)


def identity_text(row: Row) -> str:
    return IDENTITY_TEXT(row)


def compat_entry(pair: Pair) -> tuple[str, str]:
    known = pair.key.family in (FAMILY_4, FAMILY_6)
    return prefix_text(pair.row) if known else "<unknown>", identity_text(pair.row)


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


LAYOUTS = (
    declared("1.19", Row, Key, Value19, COLUMNS_19, Kind.TRIE),
    declared("1.18", Row, Key, Value, COLUMNS, Kind.TRIE),
)
LAYOUTS_V1 = (
    declared("1.16", Row, Key, Value16, COLUMNS_16, Kind.TRIE),
    declared("1.15", Row, Key, Value15, COLUMNS_14, Kind.TRIE),
    declared("1.14", Row, Key14, Value14, COLUMNS_14, Kind.TRIE),
    declared("1.12", Row, Key12, Value12, COLUMNS_12, Kind.TRIE),
)

MAP = MapDef(
    command=("ipcache",),
    summary="Identities and tunnel endpoints of addresses",
    row=Row,
    text=Table(("IP PREFIX/ADDRESS", "IDENTITY"), Cells(PREFIX_TEXT, IDENTITY_TEXT), titles_when_empty=False),
    sources=(
        Source("cilium_ipcache_v2", LAYOUTS, replaces="cilium_ipcache", assumed="1.18"),
        Source("cilium_ipcache", LAYOUTS_V1, assumed=None),
    ),
    compat=GoTable(("IP PREFIX/ADDRESS", "IDENTITY"), compat_entry),
)
