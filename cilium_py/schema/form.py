"""How the fields of a row follow from the bytes of an entry, said once for every way of reading it.

    COLUMNS = dict(
        protocol=Name(key.nexthdr, PROTOCOLS),
        direction=Either(key.flags.has(1), "IN", "OUT"),
        source=key.saddr,
        packets=value.packets,
        flag_names=Names(value.flags, FLAG_NAMES),
    )

`key.x` and `value.x` are fields of whatever layouts the columns are used with. Beside these words a column may be a
constant: a str, an int, a bool or None. From columns follow a Python function of one entry
(cilium_py.schema.decoder) and steps for the kernel, which makes text of a whole batch (cilium_py.render.steps).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias, Union

WIDEST = (1 << 64) - 1


class Field(NamedTuple):
    """A field of the key or the value: an integer in host order, or bytes."""

    side: str
    name: str
    mask: int = WIDEST
    shift: int = 0
    less: int = 0
    """What is taken off it at last."""
    cut: int = 0
    """How many bytes are kept of the memory that starts with the field; 0 for the field as it is."""

    def __and__(self, mask: int) -> Field:
        return self._replace(mask=self.mask & mask)

    def __rshift__(self, bits: int) -> Field:
        """Shifted after the mask."""
        return self._replace(shift=bits)

    def __sub__(self, number: int) -> Field:
        return self._replace(less=number)

    def first(self, size: int) -> Field:
        """As many bytes of the entry, from where the field begins."""
        return self._replace(cut=size)

    def has(self, bits: int) -> Within:
        """Whether any of these bits is set."""
        return Within(self & bits, 1, WIDEST)

    def equals(self, number: int) -> Within:
        return Within(self, number, number)


class Within(NamedTuple):
    """Whether a field is between two numbers, both included."""

    field: Field
    least: int
    most: int


class Either(NamedTuple):
    """One column or another."""

    test: Within
    then: Column
    otherwise: Column


class Name(NamedTuple):
    """The name of a number, or the number itself as text."""

    field: Field
    names: Mapping[int, str]


class Names(NamedTuple):
    """The names of the bits that are set, lowest first."""

    field: Field
    names: Mapping[int, str]


class Prefixed(NamedTuple):
    """A prefix: the address and its length."""

    address: Field
    length: Field


class Sum(NamedTuple):
    """Counters added up."""

    fields: tuple[Field, ...]


class Seconds(NamedTuple):
    """The seconds from a time in the field until now, or with `left` from now until then."""

    field: Field
    now: int
    hertz: int
    """Jiffies a second; 0 for a field in seconds."""
    left: bool = False


Column: TypeAlias = Union[Field, Within, Either, Name, Names, Prefixed, Sum, Seconds, str, int, bool, None]  # noqa: UP007
Columns: TypeAlias = Mapping[str, Column]


class _Side:
    def __init__(self, side: str) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(self._side, name)


key, value = _Side("key"), _Side("value")
