"""A selection -> a function that says of a decoded row whether it is selected."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from cilium_py.schema.derived import Summary
from cilium_py.schema.text import masked, unmapped
from cilium_py.select.fields import Field, Kind
from cilium_py.select.tree import And, Compare, CompareFields, Covers, Has, Like, Missing, Node, Not, Or, Within

Test = Callable[[Any], bool]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def test_of(node: Node) -> Test:
    """Of a selection without durations (times.at_moment)."""
    match node:
        case And(terms):
            tests = [test_of(term) for term in terms]
            return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)
        case Or(terms):
            tests = [test_of(term) for term in terms]
            return lambda row: any(test(row) for test in tests)
        case Not(term):
            refused = test_of(term)
            return lambda row: not refused(row)
        case CompareFields(left, sign, right):
            compare, one, other = OPERATORS[sign], value_of(left), value_of(right)
            return lambda row: (a := one(row)) is not None and (b := other(row)) is not None and compare(a, b)
        case Missing(field):
            read = value_of(field)
            return lambda row: read(row) is None
    accept, read = acceptance(node), value_of(node.field)
    return lambda row: (value := read(row)) is not None and accept(value)


def value_of(field: Field) -> Callable[[Any], Any]:
    if isinstance(field.derived, Summary):
        return field.derived.of
    index = field.index
    return lambda row: row[index]


def acceptance(node: Compare | Within | Covers | Has | Like) -> Callable[[Any], bool]:
    """Whether a condition on one field is true of a value that it has."""
    match node:
        case Compare(field, sign, wanted):
            compare = OPERATORS[sign]
            if isinstance(wanted, str):
                word = wanted.casefold()
                return lambda value: compare(value.casefold(), word)
            if field.kind is Kind.MAC:
                return lambda value: compare(value[:6], wanted)
            if isinstance(wanted, tuple):
                return lambda value: value[1] == wanted[1] and masked(*value) == wanted[0]
            return lambda value: compare(value, wanted)
        case Within(field, network):
            return _inside(network) if field.kind is Kind.ADDRESS else lambda value: _holds(network, *value)
        case Covers(_, address):
            return lambda value: _holds(value, address, len(address) * 8)
        case Has(_, word):
            folded = word.casefold()
            return lambda values: any(value.casefold() == folded for value in values)
        case Like(field, text):
            part = text.casefold()
            if field.kind is Kind.NAMES:
                return lambda values: any(part in value.casefold() for value in values)
            return lambda value: part in value.casefold()


def _inside(network: tuple[bytes, int]) -> Callable[[bytes], bool]:
    base, length = network
    if len(base) == 4:
        if length == 32:
            return lambda address: unmapped(address) == base
        return lambda address: len(plain := unmapped(address)) == 4 and masked(plain, length) == base
    return lambda address: len(address) == 16 and masked(address, length) == base


def _holds(network: tuple[bytes, int], address: bytes, length: int) -> bool:
    """Whether an address, or as much of it as a prefix says, lies in a network."""
    return len(network[0]) == len(address) and network[1] <= length and masked(address, network[1]) == masked(*network)
