"""The words a map file is written in: field types, layouts, map definitions, values and their text.

Pure: no libbpf, no numpy, no files.
"""

from cilium_py.schema.fields import (
    Bits,
    Int,
    Pad,
    Raw,
    b3,
    b16,
    be16,
    be32,
    ip4,
    ip6,
    mac6,
    mac8,
    pad1,
    pad2,
    pad3,
    pad4,
    pad5,
    pad6,
    pad7,
    pad8,
    pad12,
    u8,
    u16,
    u32,
    u64,
)
from cilium_py.schema.mapdef import Address, Layout, Line, Mac, MapDef, Source, Table, Word
from cilium_py.schema.struct import Member, Struct, layout

__all__ = [
    "Address", "Bits", "Int", "Layout", "Line", "Mac", "MapDef", "Member", "Pad", "Raw", "Source", "Struct",
    "Table", "Word", "b3", "b16", "be16", "be32", "ip4", "ip6", "layout", "mac6", "mac8", "pad1", "pad2",
    "pad3", "pad4", "pad5", "pad6", "pad7", "pad8", "pad12", "u8", "u16", "u32", "u64",
]  # fmt: skip
