"""Datapath metrics: packets and bytes by reason, direction and the line of code that counted them. A per-CPU hash.

struct metrics_key {                    struct metrics_value {
    __u8  reason;                           __u64 count;
    __u8  dir:2, pad:6;                     __u64 bytes;
    __u16 line;                         };
    __u8  file, reserved[3];
};

Up to 1.15 the key had neither line nor file.
"""

from collections.abc import Iterator
from typing import Annotated, NamedTuple, TypeAlias

from cilium_py.schema import (
    Bits,
    GoField,
    GoList,
    GoStruct,
    GoType,
    Int,
    Kind,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    layout,
    pad3,
    pad6,
    u8,
    u16,
    u64,
)
from cilium_py.schema.reasons import reason, source_file, source_file_of_1_18

DIRECTIONS = {1: "ingress", 2: "egress", 3: "service"}
LAST_REASON_OF_1_18 = 205

Direction: TypeAlias = Annotated[int, Int("B", 1), Bits((("dir", 2),))]


@layout(size=8, c="metrics_key")
class Key(Struct):
    reason: u8
    dir: Direction
    line: u16
    file: u8
    reserved: pad3


@layout(size=8)
class Key12(Struct):
    reason: u8
    dir: Direction
    reserved: pad6


@layout(size=16, c="metrics_value")
class Value(Struct):
    count: u64  # type: ignore[assignment]  # the C name, which a tuple has for a method
    bytes: u64


class Row(NamedTuple):
    reason: str
    code: int
    direction: str
    packets: int
    bytes: int
    line: int | None
    file: str | None


def decode(key: Key, value: Value) -> Row:
    return Row(
        reason(key.reason), key.reason, direction(key.dir), value.count, value.bytes, key.line, source_file(key.file)
    )


def decode_12(key: Key12, value: Value) -> Row:
    return Row(reason(key.reason), key.reason, direction(key.dir), value.count, value.bytes, None, None)


def direction(number: int) -> str:
    return DIRECTIONS.get(number, "unknown")


def cells(row: Row) -> tuple[str, ...]:
    place = ("", "") if row.line is None else (str(row.line), str(row.file))
    return (row.reason, row.direction.upper(), str(row.packets), str(row.bytes), *place)


def compat_cells(row: Row) -> tuple[str, ...]:
    return (reason_of_1_18(row), *cells(row)[1:-1], source_file_of_1_18(row.file or ""))


def reason_of_1_18(row: Row) -> str:
    """The words that cilium-dbg 1.18 has for a reason: none for those of later releases."""
    return row.reason if row.code <= LAST_REASON_OF_1_18 else f"{row.code}, 0"


METRIC = GoType(*(
    GoField(name.capitalize(), json=name) for name in ("reason", "direction", "packets", "bytes", "line", "file")
))  # fmt: skip


def compat_item(pair: Pair) -> GoStruct:
    row = pair.row
    return METRIC(
        reason_of_1_18(row), row.direction, row.packets, row.bytes, row.line or 0,
        source_file_of_1_18(row.file or source_file(0)),
        reference="pointer",
    )  # fmt: skip


def merged(items: Iterator[GoStruct]) -> Iterator[GoStruct]:
    """cilium-dbg's JSON has one object for all entries that it gives the same names."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for item in items:
        reason, direction, packets, size, line, file = item.values
        counters = sums.setdefault((reason, direction, line, file), [0, 0])
        counters[:] = ((have + more) % (1 << 64) for have, more in zip(counters, (packets, size), strict=True))
    for (reason, direction, line, file), counters in sums.items():
        yield METRIC(reason, direction, *counters, line, file, reference="pointer")


def order(row: Row) -> tuple[int, str, str, int, int]:
    return row.code, row.direction, row.file or "", row.line or 0, row.packets


TITLES = ("REASON", "DIRECTION", "PACKETS", "BYTES", "LINE", "FILE")

MAP = MapDef(
    command=("metrics",),
    summary="Packets and bytes forwarded and dropped, by reason",
    row=Row,
    text=Table(TITLES, cells, padded="none", titles_when_empty=False),
    sources=(
        Source(
            "cilium_metrics",
            (
                Layout("1.16", Key, Value, decode, Kind.PER_CPU_HASH),
                Layout("1.12", Key12, Value, decode_12, Kind.PER_CPU_HASH),
            ),
        ),
    ),
    order=order,
    can_flush=True,
    compat=GoList(
        compat_item,
        merge=merged,
        text=Table(TITLES, compat_cells, padded="none", titles_when_empty=False),
        order=compat_cells,
        silent_when_empty=True,
    ),
)
