"""Entries as cilium-dbg dumps them, in JSON or YAML: documents of nothing but the numbers in a map's memory.

Of a GoList whose items are stored, one item is made for a layout, with a hole for each number. What is between the
holes is the same for every entry, and Python or the kernel puts the numbers in.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

from cilium_py.render import gojson, goyaml
from cilium_py.render.steps import Program, Writing
from cilium_py.render.stream import chunks
from cilium_py.schema import GoList, Int, Layout, Pad, Pair, Struct, layout, u8
from cilium_py.schema.decoder import Decoder
from cilium_py.schema.fields import Raw
from cilium_py.schema.form import Field
from cilium_py.schema.golang import Hole

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

MARK = "\0"
"""Stands round the name of a number."""


class Stored:
    """What is written of the entries of a layout: texts, and the numbers between them. Of JSON, after a comma."""

    def __init__(self, form: str, shape: GoList[Any], of: Layout[Any]) -> None:
        self.key, self.value = numbers_of(of.key), numbers_of(of.value)
        item = shape.item(Pair(holes("key", of.key), holes("value", of.value), None))
        text = goyaml.document([item]) if form == "yaml" else f",\n  {gojson.indented(item, 1)}"
        self.parts = text.split(MARK)
        """Texts, and at odd places the side and the name of a number."""

    def program(self) -> Program:
        """The steps of the kernel."""
        writing = Writing(Decoder(tuple, self.key, self.value, {}))
        for at, part in enumerate(self.parts):
            if at % 2:
                side, _, name = part.partition(".")
                writing.number(Field(side, name))
            else:
                writing.text(part)
        return writing.program()

    def pieces(self, batch: Batch) -> Iterator[bytes]:
        """What Python makes of a batch."""
        template = "%d".join(text.replace("%", "%%") for text in self.parts[::2])
        pairs = zip(self.key.format.iter_unpack(batch.keys), self.value.format.iter_unpack(batch.values), strict=True)
        texts = (template % self.in_order(key + value) for key, value in pairs)
        return ("".join(chunk).encode() for chunk in chunks(texts))

    @cached_property
    def in_order(self) -> itemgetter[Any]:
        """Picks the numbers of an entry in the order of the text."""
        names = [f"{side}.{name}" for side, of in (("key", self.key), ("value", self.value)) for name in named(of)]
        return itemgetter(*(names.index(part) for part in self.parts[1::2]))


@cache
def stored(form: str, shape: GoList[Any], of: Layout[Any]) -> Stored:
    """Made once for a layout."""
    return Stored(form, shape, of)


def numbers_of(struct: type[Struct]) -> type[Struct]:
    """A layout as encoding/json sees its memory: every number little-endian, and each byte of an address is one."""
    fields: dict[str, Any] = {}
    for member in struct.members:
        match member.kind:
            case Int(code, size):
                fields[member.name] = Annotated[int, Int(code, size)]
            case Raw(size):
                fields |= dict.fromkeys(octets(member.name, size), u8)
            case pad:
                fields[member.name] = Annotated[bytes, pad]
    made = type(struct.__name__, (Struct,), {"__slots__": (), "__annotations__": fields, "__module__": __name__})
    return layout(size=struct.size)(made)


def holes(side: str, struct: type[Struct]) -> tuple[Any, ...]:
    """The fields of a key or value as they are to come."""

    def hole(name: str) -> Hole:
        return Hole(f"{MARK}{side}.{name}{MARK}")

    return tuple(
        [hole(name) for name in octets(member.name, member.size)] if isinstance(member.kind, Raw) else hole(member.name)
        for member in struct.members
        if not isinstance(member.kind, Pad)
    )


def octets(name: str, size: int) -> list[str]:
    return [f"{name}_{number}" for number in range(size)]


def named(struct: type[Struct]) -> list[str]:
    """The fields that a record has when it is read."""
    return [member.name for member in struct.members if not isinstance(member.kind, Pad)]
