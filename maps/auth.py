"""Mutual authentication: which pairs of identities have proved themselves to each other, and until when.

struct auth_key {                   struct auth_info {
    __u32 local_sec_label;              __u64 expiration;
    __u32 remote_sec_label;         };
    __u16 remote_node_id;
    __u8  auth_type, pad;
};

The expiration is Unix time in units of 512 ns. A remote node id of 0 is this node.
"""

from typing import NamedTuple

from cilium_py.schema import (
    GoList,
    GoStruct,
    GoType,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    layout,
    pad1,
    u8,
    u16,
    u32,
    u64,
)
from cilium_py.schema.derived import Left, Ticks
from cilium_py.schema.golang import Time
from cilium_py.schema.timestamp import local_time, rfc3339

UNIT_NS = 512
AUTH_TYPES = {0: "disabled", 1: "spire", 2: "test-always-fail"}


@layout(size=12, c="auth_key")
class Key(Struct):
    local_sec_label: u32
    remote_sec_label: u32
    remote_node_id: u16
    auth_type: u8
    pad: pad1


@layout(size=8, c="auth_info")
class Info(Struct):
    expiration: u64


class Row(NamedTuple):
    local_identity: int
    remote_identity: int
    remote_node_id: int
    auth_type: int
    auth_type_name: str
    expires_ns: int
    """Unix time in nanoseconds."""


def type_name(number: int) -> str:
    return AUTH_TYPES.get(number) or f"Unknown-auth-type-{number}"


def decode(key: Key, info: Info) -> Row:
    return Row(
        key.local_sec_label,
        key.remote_sec_label,
        key.remote_node_id,
        key.auth_type,
        type_name(key.auth_type),
        info.expiration * UNIT_NS,
    )


def cells(row: Row) -> tuple[str, ...]:
    identities = str(row.local_identity), str(row.remote_identity)
    return *identities, str(row.remote_node_id), row.auth_type_name, local_time(row.expires_ns)


ITEM = GoType("LocalIdentity", "RemoteIdentity", "RemoteNodeID", "AuthType", "Expiration")


def compat_item(pair: Pair) -> GoStruct:
    return ITEM(*pair.key, Time(rfc3339(pair.row.expires_ns)))


TEXT = Table(
    ("SRC IDENTITY", "DST IDENTITY", "REMOTE NODE ID", "AUTH TYPE", "EXPIRATION"),
    cells,
    padded="none",
    titles_when_empty=False,
)

MAP = MapDef(
    command=("auth",),
    summary="Mutual authentication entries",
    row=Row,
    text=TEXT,
    sources=(Source("cilium_auth_map", (Layout("1.14", Key, Info, decode),)),),
    order=tuple,
    compat=GoList(compat_item, nil_when_empty=True, empty_if_of_other_size=True),
    derived=(Left("remaining", "expires_ns", Ticks.UNIX_NS),),
)
