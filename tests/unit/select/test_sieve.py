"""Entries sieved as bytes are the ones that are selected as rows, whatever the selection and whatever the bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cilium_py.bpf.batch import Batch
from cilium_py.cli.bpf import definitions
from cilium_py.schema import Int, Layout, MapDef, Struct
from cilium_py.schema.decoder import Decoder
from cilium_py.schema.derived import AddressFamily
from cilium_py.schema.text import masked
from cilium_py.select.fields import Field, Kind, fields_of, reader
from cilium_py.select.masks import Columns
from cilium_py.select.moment import Moment
from cilium_py.select.octets import sieve_of
from cilium_py.select.rows import test_of as predicate
from cilium_py.select.rows import value_of
from cilium_py.select.tree import And, Compare, CompareFields, Covers, Has, Like, Missing, Node, Not, Or, Within
from cilium_py.select.vectors import vector_of

OPERATORS = st.sampled_from(["==", "<", "<=", ">", ">="])


class Declared(NamedTuple):
    definition: MapDef[Any]
    layout: Layout[Any]

    def __str__(self) -> str:
        return f"{'-'.join(self.definition.command)}-{self.layout.key.__name__}-{self.layout.release}"


def declared() -> list[Declared]:
    found = [
        Declared(definition, layout)
        for definition in definitions()
        for source in (*definition.sources, *definition.scoped)
        for layout in source.layouts
        if isinstance(layout.decode, Decoder)
    ]
    return list({(each.definition.command, id(each.layout)): each for each in found}.values())


def told(case: Declared) -> list[Field]:
    """The fields of its rows, and those that follow from them, but not from the time."""
    return [
        field
        for field in fields_of(case.definition.row, case.definition.derived).values()
        if field.kind is not Kind.TIME
    ]


def batch_of(pairs: list[tuple[bytes, bytes]]) -> Batch:
    keys, values = (memoryview(b"".join(column)) for column in zip(*pairs, strict=True))
    return Batch(keys, values, len(pairs))


def octets(struct: type[Struct]) -> st.SearchStrategy[bytes]:
    """A record whose numbers are often small, and whose bytes often repeat."""
    parts = [
        st.one_of(
            st.sampled_from([0, 1, 2, 3, 4, 6, 17, 80, 443, 256, 0x0A000001, (1 << 8 * m.size) - 1]).map(
                lambda n, m=m: (n % (1 << 8 * m.size)).to_bytes(m.size, "big" if m.kind.big else "little")  # type: ignore[misc]
            ),
            st.binary(min_size=m.size, max_size=m.size),
        )
        if isinstance(m.kind, Int)
        else st.one_of(
            st.sampled_from([b"\n\0\0\1", b"\n\0\1\2", bytes(10) + b"\xff\xff\n\0\0\1"]).map(
                lambda b, m=m: b[: m.size].ljust(m.size, b"\0")  # type: ignore[misc]
            ),
            st.binary(min_size=m.size, max_size=m.size),
        )
        for m in struct.members
    ]
    return st.tuples(*parts).map(b"".join)


def leaves(field: Field, rows: list[Any]) -> st.SearchStrategy[Node]:
    """Conditions on a field, mostly with values that some row has."""
    seen = [value for value in map(value_of(field), rows) if value is not None]
    there = st.sampled_from(seen) if seen else st.nothing()
    made: list[st.SearchStrategy[Node]] = [st.just(Missing(field))]
    match field.kind:
        case Kind.NUMBER:
            numbers = st.one_of(there, there.map(lambda n: n + 1), st.integers(-1, 1 << 64))
            made.append(st.builds(Compare, st.just(field), OPERATORS, numbers))
        case Kind.FLAG:
            made.append(st.builds(Compare, st.just(field), st.just("=="), st.booleans()))
        case Kind.TEXT:
            words = st.one_of(there, there.map(str.lower), st.sampled_from(["TCP", "77", "", "nobody"]))
            made.append(st.builds(Compare, st.just(field), st.just("=="), words))
            made.append(st.builds(Like, st.just(field), st.one_of(words, st.sampled_from(["c", "1"]))))
        case Kind.NAMES:
            words = st.one_of(there.flatmap(lambda n: st.sampled_from(n) if n else st.nothing()), st.just("nobody"))
            made += [st.builds(Has, st.just(field), words), st.builds(Like, st.just(field), words)]
        case Kind.ADDRESS:
            made.append(st.builds(Within, st.just(field), networks(there)))
        case Kind.PREFIX:
            made.append(st.builds(Within, st.just(field), networks(there.map(lambda p: p[0]))))
            made.append(st.builds(Compare, st.just(field), st.just("=="), networks(there.map(lambda p: p[0]))))
            made.append(st.builds(Covers, st.just(field), there.map(lambda p: p[0])))
    return st.one_of(made)


def pairs_of(fields: list[Field]) -> st.SearchStrategy[Node]:
    """Two fields of a row against each other."""
    numbers = [field for field in fields if field.kind is Kind.NUMBER]
    made = [st.builds(CompareFields, st.sampled_from(numbers), OPERATORS, st.sampled_from(numbers))] if numbers else []
    for kind in Kind.ADDRESS, Kind.FLAG:
        same = [field for field in fields if field.kind is kind]
        if same:
            made.append(st.builds(CompareFields, st.sampled_from(same), st.just("=="), st.sampled_from(same)))
    return st.one_of(made)


def networks(there: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, int]]:
    addresses = st.one_of(there, st.sampled_from([b"\n\0\0\1", bytes(4), bytes(16)]))
    return addresses.flatmap(
        lambda base: st.integers(0, len(base) * 8).map(lambda length: (masked(base, length), length))
    )


def trees(leaf: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, max_size=3).map(lambda terms: And(tuple(terms))),
            st.lists(inner, max_size=3).map(lambda terms: Or(tuple(terms))),
        ),
        max_leaves=5,
    )


@pytest.mark.parametrize("case", declared(), ids=str)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sieved_bytes_are_selected_rows(case: Declared, data: st.DataObject) -> None:
    layout = case.layout
    pairs = data.draw(st.lists(st.tuples(octets(layout.key), octets(layout.value)), min_size=1, max_size=40))
    rows = [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in pairs]
    fields = [field for field in told(case) if field.kind is not Kind.OTHER]
    leaf = st.sampled_from(fields).flatmap(lambda field: leaves(field, rows))
    node = data.draw(trees(st.one_of(leaf, pairs_of(fields))))
    wanted = [pair for pair, row in zip(pairs, rows, strict=True) if predicate(node)(row)]
    sieve = sieve_of(node, layout)
    assert sieve is not None
    assert sieve.exact
    narrowed = sieve.narrow(batch_of(pairs))
    assert (list(narrowed.pairs()) if narrowed is not None else []) == wanted


@pytest.mark.parametrize("case", declared(), ids=str)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_values_of_columns_are_those_of_rows(case: Declared, data: st.DataObject) -> None:
    layout = case.layout
    assert isinstance(layout.decode, Decoder)
    pairs = data.draw(st.lists(st.tuples(octets(layout.key), octets(layout.value)), min_size=1, max_size=40))
    rows = [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in pairs]
    addresses = [field.name for field in told(case) if field.kind is Kind.ADDRESS]
    families = [Field("family", Kind.TEXT, derived=AddressFamily("family", name)) for name in addresses]
    fields = {field.name: field for field in told(case)}
    for field in [*told(case), *families]:
        vector = vector_of(field, layout.decode)
        assert vector is not None
        read = reader(field, fields, Moment(no_clock))
        assert list(vector(Columns(batch_of(pairs)))) == [read(row) for row in rows], field.name


def no_clock() -> Any:
    raise AssertionError("nothing here depends on the time")


def test_the_tables_that_matter_most_are_told_by_their_bytes() -> None:
    assert {case.definition.command for case in declared()} >= {("ct",), ("nat",)}
