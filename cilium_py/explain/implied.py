"""What a selection of joined rows says of the entries that they are made of, before they are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cilium_py.select.fields import Field, Fields
from cilium_py.select.tree import EVERYTHING, And, CompareFields, Node, Not, Or, all_of, any_of

NONE: Fields = {}


def implied(node: Node, told: Fields, elsewhere: Fields = NONE, other: Node = EVERYTHING) -> Node:
    """A condition on fields of entries, which is true of every entry of a row that `node` selects.

    `told` are the fields that an entry has like the row that is made of it; those `elsewhere` are so only of entries
    that `other` does not select.
    """
    match node:
        case And(terms):
            return all_of(*(implied(term, told, elsewhere, other) for term in terms))
        case Or(terms):
            parts = [implied(term, told, elsewhere, other) for term in terms]
            return EVERYTHING if EVERYTHING in parts else any_of(*parts)
    names = names_in(node)
    if names <= told.keys():
        return about(node, told)
    known = {**told, **elsewhere}
    return any_of(other, about(node, known)) if names <= known.keys() and elsewhere else EVERYTHING


def names_in(node: Node) -> set[str]:
    """The fields that a selection asks about."""
    match node:
        case And(terms) | Or(terms):
            return set().union(*map(names_in, terms))
        case Not(term):
            return names_in(term)
        case CompareFields(left, _, right):
            return {left.name, right.name}
    return {node.field.name}


def about(node: Node, fields: Mapping[str, Field]) -> Node:
    """The same selection of rows of another type."""
    match node:
        case And(terms):
            return And(tuple(about(term, fields) for term in terms))
        case Or(terms):
            return Or(tuple(about(term, fields) for term in terms))
        case Not(term):
            return Not(about(term, fields))
        case CompareFields(left, sign, right):
            return CompareFields(fields[left.name], sign, fields[right.name])
    return replace(node, field=fields[node.field.name])
