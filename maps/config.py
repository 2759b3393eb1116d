"""Runtime configuration: numbers that the agent changes while the datapath runs, in an array by index.

Index 0 is the difference of the wall clock to the monotonic one in units of 512 ns, index 1 the agent's last sign
of life in ns of CLOCK_MONOTONIC. Other indexes are in use only where they are not zero.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cilium_py.schema import (
    GoList,
    GoStruct,
    GoType,
    Kind,
    Layout,
    MapDef,
    Pair,
    Source,
    Struct,
    Table,
    layout,
    u32,
    u64,
)

NAMES = {0: "UTimeOffset", 1: "AgentLiveness"}


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=8)
class Value(Struct):
    value: u64


class Row(NamedTuple):
    key: str
    value: int


def decode(key: Key, value: Value) -> Row:
    return Row(NAMES.get(key.value) or str(key.value), value.value)


def in_use(row: Row) -> bool:
    return row.value != 0 or row.key in NAMES.values()


def cells(row: Row) -> tuple[str, ...]:
    return row.key, str(row.value)


ITEM = GoType("Key", "Value")


def compat_item(pair: Pair) -> GoStruct:
    return ITEM(*pair.row)


def known_by_name(pairs: Iterable[Pair]) -> list[Pair]:
    return sorted((pair for pair in pairs if pair.row.key in NAMES.values()), key=lambda pair: pair.row.key)


MAP = MapDef(
    command=("config",),
    summary="Runtime configuration of the datapath",
    row=Row,
    text=Table(("KEY", "VALUE"), cells, padded="none"),
    sources=(Source("cilium_runtime_config", (Layout("1.14", Key, Value, decode, Kind.ARRAY),)),),
    order=tuple,
    keep=in_use,
    compat=GoList(compat_item, arranged=known_by_name),
)
