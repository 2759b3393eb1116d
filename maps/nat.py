"""Source NAT: for each direction of a translated connection, the address and port to put in.

struct nat_entry {                  struct ipv4_nat_entry {
    __u64 created, needs_ct;            struct nat_entry common;
    __u64 pad1, pad2;                   union { struct lb4_reverse_nat nat_info;
};                                              struct { __be32 to_saddr; __be16 to_sport; };
                                                struct { __be32 to_daddr; __be16 to_dport; }; };
                                    };

The key is conntrack's tuple, stored as the packet has it. An OUT entry gives the new source, an IN entry the new
destination. `created` is in the clock of conntrack: seconds of CLOCK_MONOTONIC, or jiffies >> 8. Up to 1.13 the
place of needs_ct was host_local.
"""

from typing import Annotated, NamedTuple

from cilium_py.maps.ct import RECORD, TUPLE_IN, TUPLE_RELATED, TUPLE_SERVICE, Key4, Key6, compat_key
from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Line,
    MapDef,
    Pad,
    Pair,
    Source,
    Struct,
    be16,
    ip4,
    ip6,
    layout,
    u64,
)
from cilium_py.schema.decoder import declared
from cilium_py.schema.derived import Since
from cilium_py.schema.form import Columns, Either, Name, Seconds, key, value
from cilium_py.schema.template import Instead, Template, Unless, When
from cilium_py.schema.text import PROTOCOLS, go_ip


@layout(size=40, c="ipv4_nat_entry")
class Entry4(Struct):
    created: u64
    needs_ct: u64
    pad1: u64
    pad2: u64
    to_saddr: ip4
    to_sport: be16
    pad: Annotated[bytes, Pad(2)]


@layout(size=56, c="ipv6_nat_entry")
class Entry6(Struct):
    created: u64
    needs_ct: u64
    pad1: u64
    pad2: u64
    to_saddr: ip6
    to_sport: be16
    pad: Annotated[bytes, Pad(6)]


@layout(size=40)
class OldEntry4(Struct):
    """Up to 1.13."""

    created: u64
    host_local: u64
    pad1: u64
    pad2: u64
    to_saddr: ip4
    to_sport: be16
    pad: Annotated[bytes, Pad(2)]


@layout(size=56)
class OldEntry6(Struct):
    """Up to 1.13."""

    created: u64
    host_local: u64
    pad1: u64
    pad2: u64
    to_saddr: ip6
    to_sport: be16
    pad: Annotated[bytes, Pad(6)]


class Row(NamedTuple):
    protocol: str
    direction: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    related: bool
    service: bool
    to: Address
    to_port: int
    created: int
    """In the clock of conntrack."""
    needs_ct: int | None
    """Since 1.14."""
    age: int | None = None
    """Seconds; None where nobody knows the clock."""
    host_local: int | None = None
    """Up to 1.13."""


COLUMNS: Columns = {
    "protocol": Name(key.nexthdr, PROTOCOLS),
    "direction": Either(key.flags.has(TUPLE_IN), "IN", "OUT"),
    "source": key.saddr,
    "source_port": key.sport,
    "destination": key.daddr,
    "destination_port": key.dport,
    "related": key.flags.has(TUPLE_RELATED),
    "service": key.flags.has(TUPLE_SERVICE),
    "to": value.to_saddr,
    "to_port": value.to_sport,
    "created": value.created,
    "needs_ct": value.needs_ct,
}
COLUMNS_12: Columns = {**COLUMNS, "needs_ct": None, "host_local": value.host_local}


def age(now: int, hertz: int) -> Columns:
    """The column that says how old an entry is, by the clock that it was made by."""
    return {"age": Seconds(value.created, now, hertz)}


LINE = Template(
    Row,
    "{protocol} {direction} {source:[go]}:{source_port} -> {destination:[go]}:{destination_port}",
    When("related", " related"),
    When("service", " service"),
    " XLATE_",
    Instead("direction", {"IN": "DST", "OUT": "SRC"}),
    " {to:[go]}:{to_port} Created=",
    When("age", "{age}sec ago", otherwise="{created}"),
    When("host_local", " HostLocal={host_local}", otherwise=" NeedsCT={needs_ct}"),
)
"""The line of `cilium-dbg bpf nat list`; without an age the time of creation stands raw."""
IS_SHOWN = Unless("protocol", PROTOCOLS[0])
"""cilium-dbg's text leaves out entries without a protocol."""


ENTRY = GoType("Created", "NeedsCT", "Pad1", "Pad2", "Addr", "Port")


def compat_item(pair: Pair) -> GoStruct:
    """A record of `cilium-dbg bpf nat list -o json`: ports as they lie in memory."""
    created, needs_ct, _, _, address, port = pair.value

    def text() -> str:
        return f"Addr={go_ip(address)} Port={port} Created={created} NeedsCT={needs_ct}\n"

    value = ENTRY(*pair.value, text=text, reference="interface")
    return RECORD(compat_key(pair.key), value)


LAYOUTS_4 = (
    declared("1.14", Row, Key4, Entry4, COLUMNS),
    declared("1.12", Row, Key4, OldEntry4, COLUMNS_12),
)
LAYOUTS_6 = (
    declared("1.14", Row, Key6, Entry6, COLUMNS),
    declared("1.12", Row, Key6, OldEntry6, COLUMNS_12),
)
GLOBAL = (
    Source("cilium_snat_v4_external", LAYOUTS_4, family=4),
    Source("cilium_snat_v6_external", LAYOUTS_6, family=6),
)
CLUSTER = (
    Source("cilium_per_cluster_snat_v4_external_{}", LAYOUTS_4, family=4),
    Source("cilium_per_cluster_snat_v6_external_{}", LAYOUTS_6, family=6),
)

MAP = MapDef(
    command=("nat",),
    summary="Source NAT tables",
    row=Row,
    text=Line(LINE, shown=IS_SHOWN),
    sources=GLOBAL,
    scoped=CLUSTER,
    can_flush=True,
    compat=GoList(compat_item, is_stored=True, blank_line_after_map=True),
    derived=(Since("age", ("created",)),),
)
