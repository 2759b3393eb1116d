"""VTEP: devices outside the cluster that pods reach through the tunnel, by their network.

struct vtep_key {                   struct vtep_value {
    __u32 vtep_ip;                      __u64 vtep_mac;
};                                      __u32 tunnel_endpoint;
                                    };
"""

from typing import NamedTuple

from cilium_py.errors import WrongUsage
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
    ip4,
    layout,
    mac8,
    pad4,
)
from cilium_py.schema.text import ip, mac, parse_ip, parse_mac, parse_prefix, unmapped

PIN = "cilium_vtep_map"


@layout(size=4, c="vtep_key")
class Key(Struct):
    vtep_ip: ip4


@layout(size=16, c="vtep_value")
class Value(Struct):
    vtep_mac: mac8
    tunnel_endpoint: ip4
    pad: pad4


class Row(NamedTuple):
    network: Address
    mac: Mac
    tunnel_endpoint: Address


def decode(key: Key, value: Value) -> Row:
    return Row(key.vtep_ip, value.vtep_mac, value.tunnel_endpoint)


def cells(row: Row) -> tuple[str, str]:
    said = f"vtepmac={mac(row.mac).upper()} tunnelendpoint={ip(row.tunnel_endpoint)}"
    return ip(row.network), said


def parse_network(text: str) -> bytes:
    """The network address of an IPv4 CIDR; the map does not keep the length, so it must be given."""
    network, _ = parse_prefix(text)
    if len(network) != 4 or "/" not in text:
        raise WrongUsage(f"{text!r} is not an IPv4 CIDR", "give one like 10.1.2.0/24")
    return network


def parse_endpoint(text: str) -> bytes:
    packed = unmapped(parse_ip(text))
    if len(packed) != 4:
        raise WrongUsage(f"{text!r} is not an IPv4 address", "give one like 10.169.72.239")
    return packed


def make_key(cidr: bytes) -> tuple[str, dict[str, int | bytes]]:
    return PIN, {"vtep_ip": cidr}


def make_value(vtep_ip: bytes, vtep_mac: bytes) -> dict[str, int | bytes]:
    return {"tunnel_endpoint": vtep_ip, "vtep_mac": vtep_mac.ljust(8, b"\0")}


def compat_entry(pair: Pair) -> tuple[str, str]:
    return cells(pair.row)


TITLES = ("IP PREFIX/ADDRESS", "VTEP")

MAP = MapDef(
    command=("vtep",),
    summary="VXLAN tunnel endpoints outside the cluster",
    row=Row,
    text=Table(TITLES, cells, titles_when_empty=False),
    sources=(Source(PIN, (Layout("1.12", Key, Value, decode),)),),
    aliases={"add": "update"},
    order=tuple,
    key=(Word("cidr", parse_network, "10.1.2.0/24"),),
    make_key=make_key,
    value=(Word("vtep_ip", parse_endpoint, "192.0.2.7"), Word("vtep_mac", parse_mac, "02:0a:00:00:01:0b")),
    make_value=make_value,
    compat=GoTable(TITLES, compat_entry),
)
