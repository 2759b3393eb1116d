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
from cilium_py.schema.text import masked
from cilium_py.select.fields import Field, Kind, fields_of
from cilium_py.select.octets import sieve_of
from cilium_py.select.rows import test_of as predicate
from cilium_py.select.rows import value_of
from cilium_py.select.tree import And, Compare, CompareFields, Covers, Has, Like, Missing, Node, Not, Or, Within

OPERATORS = st.sampled_from(["==", "<", "<=", ">", ">="])


class Declared(NamedTuple):
    definition: MapDef[Any]
    layout: Layout[Any]


def declared() -> list[Declared]:
    found = [
        Declared(definition, layout)
        for definition in definitions()
        for source in (*definition.sources, *definition.scoped)
        for layout in source.layouts
        if isinstance(layout.decode, Decoder)
    ]
    return list({(each.definition.command, id(each.layout)): each for each in found}.values())


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
            made.append(st.builds(CompareFields, st.just(field), OPERATORS, st.just(field)))
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


@pytest.mark.parametrize(
    "case", declared(), ids=lambda c: f"{'-'.join(c.definition.command)}-{c.layout.key.__name__}-{c.layout.release}"
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sieved_bytes_are_selected_rows(case: Declared, data: st.DataObject) -> None:
    layout = case.layout
    pairs = data.draw(st.lists(st.tuples(octets(layout.key), octets(layout.value)), min_size=1, max_size=40))
    rows = [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in pairs]
    fields = [field for field in fields_of(case.definition.row).values() if field.kind is not Kind.OTHER]
    node = data.draw(st.sampled_from(fields).flatmap(lambda field: trees(leaves(field, rows))))
    batch = Batch(
        memoryview(b"".join(key for key, _ in pairs)), memoryview(b"".join(value for _, value in pairs)), len(pairs)
    )
    wanted = [pair for pair, row in zip(pairs, rows, strict=True) if predicate(node)(row)]
    sieve = sieve_of(node, layout)
    passed = list(batch.pairs()) if sieve is None else []
    narrowed = sieve.narrow(batch) if sieve is not None else None
    if narrowed is not None:
        passed = list(narrowed.pairs())
    if sieve is not None and sieve.exact:
        assert passed == wanted
    else:
        decoded = [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in passed]
        assert [pair for pair, row in zip(passed, decoded, strict=True) if predicate(node)(row)] == wanted


def test_the_tables_that_matter_most_are_told_by_their_bytes() -> None:
    assert {case.definition.command for case in declared()} >= {("ct",), ("nat",)}
