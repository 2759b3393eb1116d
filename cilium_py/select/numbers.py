"""Conditions on the integers of a layout's columns, for every entry of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping

from cilium_py.schema import Int, Struct, form
from cilium_py.schema.decoder import member_of
from cilium_py.select import masks
from cilium_py.select.masks import Mask, Number

Structs = Mapping[str, type[Struct]]
"""The key's and the value's."""


def number_at(field: form.Field, structs: Structs) -> Number | None:
    """Where the integer of a field lies; None if it is none."""
    member = member_of(structs[field.side], field.name)
    if not isinstance(member.kind, Int) or field.cut:
        return None
    offsets = range(member.offset, member.offset + member.size)
    return Number(field.side, tuple(offsets if member.kind.big else reversed(offsets)), field.mask)


def compared(field: form.Field, sign: str, wanted: int, structs: Structs) -> Mask | None:
    """Where a field is less than a number, equal to it, and so on; None if it is no integer."""
    found = number_at(field, structs)
    if found is None:
        return None
    wanted += field.less

    def below(limit: int) -> Mask:
        return found.below(limit << field.shift) if limit > 0 else masks.nothing

    match sign:
        case "<":
            return below(wanted)
        case "<=":
            return below(wanted + 1)
        case ">":
            return masks.opposite(below(wanted + 1))
        case ">=":
            return masks.opposite(below(wanted))
    if not field.shift:
        return found.equals(wanted)
    return masks.all_of([masks.opposite(below(wanted)), below(wanted + 1)])


def tested(test: form.Within, structs: Structs) -> Mask | None:
    """Where a test is true; None if its field is no integer."""
    least, most = compared(test.field, ">=", test.least, structs), compared(test.field, "<=", test.most, structs)
    if least is None or most is None:
        return None
    return least if test.most >= form.WIDEST else masks.all_of([least, most])
