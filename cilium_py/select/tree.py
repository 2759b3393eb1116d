"""A selection as data: a tree of conditions on the fields of a row.

A comparison with a field that has no value (None) is false; `Not` makes true of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cilium_py.select.fields import Field

Operator: TypeAlias = Literal["==", "<", "<=", ">", ">="]
Value: TypeAlias = int | float | str | bytes | tuple[bytes, int]


@dataclass(frozen=True)
class Compare:
    """A field against a value of its kind; words are compared without regard to case."""

    field: Field
    operator: Operator
    value: Value


@dataclass(frozen=True)
class CompareFields:
    """Two fields of one row against each other."""

    left: Field
    operator: Operator
    right: Field


@dataclass(frozen=True)
class Within:
    """An address, or a whole prefix, that lies in a network. One of IPv4 holds IPv4-mapped addresses too."""

    field: Field
    network: tuple[bytes, int]


@dataclass(frozen=True)
class Covers:
    """A prefix that an address lies in."""

    field: Field
    address: bytes


@dataclass(frozen=True)
class Has:
    """A list that has a word."""

    field: Field
    word: str


@dataclass(frozen=True)
class Like:
    """A word, or one of a list of words, that a text is part of, without regard to case."""

    field: Field
    text: str


@dataclass(frozen=True)
class Missing:
    """A field without a value."""

    field: Field


@dataclass(frozen=True)
class Not:
    term: Node


@dataclass(frozen=True)
class And:
    """Every term; true of anything if there are none."""

    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """Any term; true of nothing if there are none."""

    terms: tuple[Node, ...]


Node: TypeAlias = Compare | CompareFields | Within | Covers | Has | Like | Missing | Not | And | Or
EVERYTHING = And(())


def all_of(*terms: Node) -> Node:
    """The conjunction, without needless nesting."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, And) else (term,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(*terms: Node) -> Node:
    return terms[0] if len(terms) == 1 else Or(terms)
