"""Program arrays: tail calls of a program (slot = which call) and endpoints' policy programs (slot = endpoint id).

key: __u32 slot, value: __u32 program id

An endpoint's own calls are pinned as cilium_calls_NNNNN, those of the host, devices, overlay and XDP under longer
names that start alike.
"""

from typing import NamedTuple

from cilium_py.schema import Kind, Layout, MapDef, Source, Struct, Table, layout, u32


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=4)
class Value(Struct):
    value: u32


class Row(NamedTuple):
    map: str
    slot: int
    program_id: int
    program: str


def decode(key: Key, value: Value) -> Row:
    """The names of map and program are for the command to find."""
    return Row("", key.value, value.value, "")


def cells(row: Row) -> tuple[str, ...]:
    return row.map, str(row.slot), str(row.program_id), row.program


LAYOUTS = (Layout("1.12", Key, Value, decode, Kind.PROGRAMS),)

MAP = MapDef(
    command=("calls",),
    summary="Tail calls and policy programs",
    row=Row,
    text=Table(("MAP", "SLOT", "PROGRAM ID", "PROGRAM"), cells, padded="none"),
    sources=(
        Source("cilium_call_policy", LAYOUTS),
        Source("cilium_egresscall_policy", LAYOUTS),
        Source("cilium_calls_{}", LAYOUTS),
    ),
    order=tuple,
)
