"""IPsec: the id of the key that is in use, in an array of one.

struct encrypt_config {
    __u8 encrypt_key;
};
"""

from typing import NamedTuple

from cilium_py.schema import Kind, Layout, MapDef, Source, Struct, Table, layout, u8, u32


@layout(size=4)
class Key(Struct):
    value: u32


@layout(size=1, c="encrypt_config")
class Value(Struct):
    encrypt_key: u8


class Row(NamedTuple):
    key_id: int


def decode(_key: Key, value: Value) -> Row:
    return Row(value.encrypt_key)


def cells(row: Row) -> tuple[str, ...]:
    return (str(row.key_id),)


MAP = MapDef(
    command=("encrypt",),
    summary="IPsec key in use",
    row=Row,
    text=Table(("KEY ID",), cells, padded="none"),
    sources=(Source("cilium_encrypt_state", (Layout("1.12", Key, Value, decode, Kind.ARRAY),)),),
)
