"""Devices (1.19 on): the MAC of each interface that programs run on, by interface index.

struct device_state {
    union macaddr mac;
    __u8  l3:1, pad0:7; __u8 pad1;
    __u16 pad2; __u32 pad3;
};

The map was an array at first, and is a hash now. An entry without a MAC that is not a layer-3 device is not in use.
"""

from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.schema import (
    Bits,
    Int,
    Kind,
    Layout,
    Mac,
    MapDef,
    Source,
    Struct,
    Table,
    layout,
    mac8,
    pad7,
    u32,
)
from cilium_py.schema.text import mac

DeviceFlags: TypeAlias = Annotated[int, Int("B", 1), Bits(("l3",))]


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=16)
class State(Struct):
    mac: mac8
    l3: DeviceFlags
    pad: pad7


class Row(NamedTuple):
    ifindex: int
    mac: Mac
    layer3: bool


def decode(key: Key, state: State) -> Row:
    return Row(key.value, state.mac, bool(state.l3 & 1))


def in_use(row: Row) -> bool:
    return row.layer3 or any(row.mac)


def cells(row: Row) -> tuple[str, ...]:
    return str(row.ifindex), mac(row.mac), "yes" if row.layer3 else "no"


MAP = MapDef(
    command=("devices",),
    summary="Interfaces that programs run on",
    row=Row,
    text=Table(("IFINDEX", "MAC", "LAYER 3"), cells, padded="none"),
    sources=(
        Source(
            "cilium_devices",
            (Layout("1.20", Key, State, decode), Layout("1.19", Key, State, decode, Kind.ARRAY)),
        ),
    ),
    keep=in_use,
)
