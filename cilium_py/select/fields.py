"""The fields of a row type that can be selected by: their names, kinds, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cilium_py.errors import WrongUsage
from cilium_py.schema import Address, Mac, Prefix
from cilium_py.schema.derived import FAMILIES, AddressFamily, Derived, Left, Since, Summary
from cilium_py.schema.rowtype import field_names
from cilium_py.select.moment import Moment


class Kind(Enum):
    """What a field holds, and so what it can be compared with."""

    NUMBER = "a number"
    DECIMAL = "a decimal number"
    TEXT = "a word"
    FLAG = "yes or no"
    ADDRESS = "an address"
    PREFIX = "a prefix"
    MAC = "a MAC address"
    NAMES = "a list of words"
    TIME = "a duration"
    OTHER = "a list"


@dataclass(frozen=True)
class Field:
    """A field of a row, or one that follows from it (`derived`)."""

    name: str
    kind: Kind
    index: int = -1
    derived: Derived | None = None


Fields = Mapping[str, Field]
KINDS: tuple[tuple[Any, Kind], ...] = (
    (Address, Kind.ADDRESS),
    (Mac, Kind.MAC),
    (Prefix, Kind.PREFIX),
    (bool, Kind.FLAG),
    (int, Kind.NUMBER),
    (float, Kind.DECIMAL),
    (str, Kind.TEXT),
    (list[str], Kind.NAMES),
)


def fields_of(row: type[tuple[Any, ...]], derived: Iterable[Derived] = ()) -> Fields:
    """Every field of a row type by name. A derived field takes the place of a field of its name."""
    hints = get_type_hints(row, include_extras=True)
    names = field_names(row)
    own = {name: Field(name, _kind(hints[name]), index) for index, name in enumerate(names)}
    return own | {
        each.name: Field(each.name, Kind.TIME if isinstance(each, (Left, Since)) else Kind.TEXT, derived=each)
        for each in derived
    }


def _kind(hint: Any) -> Kind:
    if get_origin(hint) in (Union, UnionType):
        hint = next(option for option in get_args(hint) if option is not NoneType)
    return next((kind for word, kind in KINDS if hint == word), Kind.OTHER)


def named(fields: Fields, name: str, before: str = "", after: str = "") -> Field:
    """The field of a name. Raises WrongUsage that lists the fields."""
    if name in fields:
        return fields[name]
    from difflib import get_close_matches

    close = get_close_matches(name, fields, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise WrongUsage(f"{before}{name!r}{after}: no such field", f"{meant}fields: {', '.join(fields)}")


def reader(field: Field, fields: Fields, moment: Moment) -> Callable[[Any], Any]:
    """What reads a field from a row; of times, whole seconds."""
    match field.derived:
        case Summary(of=summarise):
            return summarise
        case AddressFamily(of=name):
            address = fields[name].index
            return lambda row: FAMILIES.get(len(row[address] or b""), "")
        case Left(of=name, ticks=ticks):
            at, now, seconds = fields[name].index, moment.now(ticks), moment.seconds(ticks)
            return lambda row: seconds(row[at]) - now
        case Since(of=names, ticks=ticks):
            places = [fields[name].index for name in names]
            now, seconds = moment.now(ticks), moment.seconds(ticks)
            return lambda row: now - max(seconds(row[at]) for at in places)
    index = field.index
    return lambda row: row[index]
