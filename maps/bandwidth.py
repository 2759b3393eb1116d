"""Bandwidth manager: the rate of each endpoint and direction, for pacing by earliest departure time.

struct edt_id {                     struct edt_info {
    __u32 id;                           __u64 bps, t_last;
    __u8  direction, pad[3];            union { __u64 t_horizon_drop, tokens; };
};                                      __u32 prio, pad_32;
                                        __u64 pad[3];
                                    };

`bps` counts bytes a second. Up to 1.17 the key was a 64-bit endpoint id and only egress was limited; up to 1.16
there was no priority.
"""

from dataclasses import replace
from typing import NamedTuple

from cilium_py.schema import (
    GoTable,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    layout,
    pad3,
    pad4,
    pad24,
    pad32,
    u8,
    u32,
    u64,
)
from cilium_py.schema.golang import int64

EGRESS, INGRESS = 0, 1


@layout(size=8, c="edt_id")
class Key(Struct):
    id: u32
    direction: u8
    pad: pad3


@layout(size=8)
class EgressKey(Struct):
    """struct edt_id up to 1.17."""

    id: u64


@layout(size=56, c="edt_info")
class Info(Struct):
    bps: u64
    t_last: u64
    t_horizon_drop: u64
    prio: u32
    pad_32: pad4
    pad: pad24


@layout(size=56)
class InfoWithoutPriority(Struct):
    """struct edt_info up to 1.16."""

    bps: u64
    t_last: u64
    t_horizon_drop: u64
    pad: pad32


class Row(NamedTuple):
    endpoint: int
    direction: str
    priority: int | None
    """Since 1.17."""
    bits_per_second: int


def decode(key: Key, info: Info) -> Row:
    return Row(key.id, "Ingress" if key.direction == INGRESS else "Egress", info.prio, info.bps * 8)


def decode_egress(key: EgressKey, info: Info) -> Row:
    return Row(key.id, "Egress", info.prio, info.bps * 8)


def decode_without_priority(key: EgressKey, info: InfoWithoutPriority) -> Row:
    return Row(key.id, "Egress", None, info.bps * 8)


def quantity(number: int) -> str:
    """A number as Kubernetes writes it: the largest decimal suffix that needs no fraction."""
    power = 0
    while number and number % 1000 == 0 and power < 6:
        number //= 1000
        power += 1
    return f"{number}{('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}"


def cells(row: Row) -> tuple[str, ...]:
    return str(row.endpoint), row.direction, str(row.priority or 0), quantity(row.bits_per_second)


def compat_cells(row: Row) -> tuple[str, ...]:
    """cilium-dbg counts in 64 bits with a sign."""
    return cells(row._replace(bits_per_second=int64(row.bits_per_second)))


def compat_entry(pair: Pair) -> tuple[str, str]:
    return ", ".join(map(str, pair.key)), f"{int64(pair.value.bps)}, {pair.row.priority or 0}"


TITLES = ("IDENTITY", "DIRECTION", "PRIO", "BANDWIDTH (BitsPerSec)")
TEXT = Table(TITLES, cells, padded="none", titles_when_empty=False)

MAP = MapDef(
    command=("bandwidth",),
    summary="Bandwidth limits of endpoints",
    row=Row,
    text=TEXT,
    sources=(
        Source(
            "cilium_throttle",
            (
                Layout("1.18", Key, Info, decode),
                Layout("1.17", EgressKey, Info, decode_egress),
                Layout("1.12", EgressKey, InfoWithoutPriority, decode_without_priority),
            ),
        ),
    ),
    order=tuple,
    compat=GoTable(("", ""), compat_entry, text=replace(TEXT, cells=compat_cells)),
)
