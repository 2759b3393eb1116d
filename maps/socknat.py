"""Socket load balancing: the service address that a connected socket believes to talk to.

struct ipv4_revnat_tuple {          struct ipv4_revnat_entry {
    __sock_cookie cookie;               __be32 address;
    __be32 address;                     __be16 port;
    __be16 port; __u16 pad;             __u16  rev_nat_index;
};                                  };
                                    struct ipv6_revnat_tuple, _entry: addresses of 16 bytes
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    Layout,
    MapDef,
    Source,
    Struct,
    Table,
    be16,
    ip4,
    ip6,
    layout,
    pad2,
    pad6,
    u64,
)
from cilium_py.schema.text import bracketed


@layout(size=16, c="ipv4_revnat_tuple")
class Key4(Struct):
    cookie: u64
    address: ip4
    port: be16
    pad: pad2


@layout(size=32, c="ipv6_revnat_tuple")
class Key6(Struct):
    cookie: u64
    address: ip6
    port: be16
    pad: pad6


@layout(size=8, c="ipv4_revnat_entry")
class Entry4(Struct):
    address: ip4
    port: be16
    rev_nat_index: be16


@layout(size=20, c="ipv6_revnat_entry")
class Entry6(Struct):
    address: ip6
    port: be16
    rev_nat_index: be16


class Row(NamedTuple):
    socket_cookie: int
    backend: Address
    backend_port: int
    frontend: Address
    frontend_port: int
    rev_nat: int


def decode(key: Key4 | Key6, entry: Entry4 | Entry6) -> Row:
    return Row(key.cookie, key.address, key.port, entry.address, entry.port, entry.rev_nat_index)


def cells(row: Row) -> tuple[str, ...]:
    backend = bracketed(row.backend, row.backend_port)
    frontend = bracketed(row.frontend, row.frontend_port)
    return str(row.socket_cookie), f"{backend} -> {frontend} (revnat={row.rev_nat})"


MAP = MapDef(
    command=("socknat",),
    summary="Translations of connected sockets",
    row=Row,
    text=Table(("Socket Cookie", "Backend -> Frontend"), cells),
    sources=(
        Source("cilium_lb4_reverse_sk", (Layout("1.12", Key4, Entry4, decode),)),
        Source("cilium_lb6_reverse_sk", (Layout("1.12", Key6, Entry6, decode),)),
    ),
    order=tuple,
)
