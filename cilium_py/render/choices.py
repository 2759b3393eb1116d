"""Columns that are one thing or another: by which tests, and where a table of words does as well."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_

from cilium_py.schema.form import Column, Either, Field, Name, Names, Prefixed, Seconds, Sum, Within

MOST_BITS = 4
"""Of a field that words depend on, for a table of them."""


def tests_of(column: Column) -> tuple[Within, ...]:
    """The tests that decide which side of each Either is written."""
    if not isinstance(column, Either) or chosen(column):
        return ()
    return (column.test, *tests_of(column.then), *tests_of(column.otherwise))


def chosen(column: Column) -> tuple[Field, Mapping[int, Column]] | None:
    """Of constants that depend on a few bits of one field: those bits, and the constant for each value of them."""
    tests = _all_tests(column)
    if not tests:
        return None
    first = tests[0].field
    mask = reduce(or_, (test.field.mask for test in tests))
    alike = all(test.field._replace(mask=first.mask) == first for test in tests)
    if not alike or first.less or first.shift or first.cut or mask.bit_count() > MOST_BITS:
        return None
    shift = (mask & -mask).bit_length() - 1
    if mask >> shift > 0xFF:
        return None
    found = {number: _constant(column, number << shift) for number in _subsets(mask >> shift)}
    if any(isinstance(each, (Field, Within, Either, Name, Names, Prefixed, Seconds, Sum)) for each in found.values()):
        return None
    return first._replace(mask=mask, shift=shift), found


def _all_tests(column: Column) -> list[Within]:
    if isinstance(column, Within):
        return [column]
    if isinstance(column, Either):
        return [column.test, *_all_tests(column.then), *_all_tests(column.otherwise)]
    return []


def _subsets(mask: int) -> list[int]:
    return [number for number in range(mask + 1) if number & ~mask == 0]


def _constant(column: Column, number: int) -> Column:
    """What the column is where its field has this value."""
    match column:
        case Within():
            return column.least <= number & column.field.mask <= column.most
        case Either(test, then, otherwise):
            return _constant(then if _constant(test, number) else otherwise, number)
    return column
