"""Go's JSON, YAML, tables and sort, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.render import gojson, goyaml, tabular
from cilium_py.render.gosort import go_sorted
from cilium_py.schema import GoField, GoType, Named
from cilium_py.schema.golang import Blob, Marshaled

KEY = GoType("Address", "Port")
RECORD = GoType(GoField("Key", embedded=True), GoField("Reason", json="reason"), "Tags")
VALUE = RECORD(KEY(b"\x0a\x00", Named(80, "http")), "a<b", ["x"])


def test_json() -> None:
    assert gojson.compact(VALUE) == '{"Address":[10,0],"Port":80,"reason":"a\\u003cb","Tags":["x"]}'
    assert gojson.indented({"b": [], "a": {}}) == '{\n  "a": {},\n  "b": []\n}'
    assert gojson.compact(Blob(b"ab")) == '"YWI="'
    assert gojson.compact(None) == "null"


def test_fmt() -> None:
    assert gojson.said(VALUE) == "{{[10 0] http} a<b [x]}"
    assert gojson.said({"b": 1, "a": [True, None]}) == "map[a:[true <nil>] b:1]"
    assert gojson.said(Marshaled("now")) == "now"


def test_yaml_of_go_values() -> None:
    text = "- key:\n    address:\n        - 10\n        - 0\n    port: 80\n  reason: a<b\n  tags:\n    - x\n"
    assert goyaml.document([VALUE]) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("5", '"5"'),
        ("0x1f", '"0x1f"'),
        ("1e3", '"1e3"'),
        ("1:30", '"1:30"'),
        ("yes", '"yes"'),
        ("null", '"null"'),
        ("2029-07-20", '"2029-07-20"'),
        ("10.0.0.1:80", "10.0.0.1:80"),
        (":::0", ":::0"),
        ("[fd00::1]:80", "'[fd00::1]:80'"),
        ("ends with space ", "'ends with space '"),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("it's: so", "'it''s: so'"),
        ("<none>", "<none>"),
        ("- x", "'- x'"),
        ("-x", "-x"),
        ("tab\t", '"tab\\t"'),
        ("two\nlines", "|-\n    two\n    lines"),
        ("ends\n", "|\n    ends"),
        ("\n", "|4+"),
        ("\nx", "|4-\n    x"),
        ("x\ny\t", "|-\n    x\n    y\t"),
        ("<<", "<<"),
        ("0X1F", '"0X1F"'),
        ("0x_", "0x_"),
        ("1_000.5", '"1_000.5"'),
        ("no\xa0break", "no\xa0break"),
        ("\U0001f600", '"\\U0001F600"'),
        (None, "null"),
        (True, "true"),
        ([], "[]"),
        ({}, "{}"),
    ],
)
def test_yaml_scalars(value: Any, text: str) -> None:
    assert goyaml.document({"k": value}) == f"k: {text}\n"


def test_yaml_literals_in_a_list() -> None:
    assert goyaml.document({"k": ["two\nlines", "x"]}) == "k:\n    - |-\n      two\n      lines\n    - x\n"


def is_read_back(text: str) -> bool:
    """Not a literal whose first line begins with a space: within a list, yaml.v3 gives it a wrong hint, and so do we.

    Nor the = that PyYAML takes for a word.
    """
    return not ("\n" in text and text[0] in " \n") and text != "="


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=12).filter(is_read_back)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc-:# 0", max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_yaml_can_be_read_back(value: Any) -> None:
    import yaml

    assert yaml.safe_load(goyaml.document(value)) == value


def test_yaml_order_of_map_keys() -> None:
    keys = ["b", "a10", "a2", "a02", "10.1.2.3", "10.10.0.1", "9.0.0.1", "::1", "<x>", "A", "a"]
    lines = goyaml.document(dict.fromkeys(keys, 0)).splitlines()
    expected = ["::1", "<x>", "9.0.0.1", "10.1.2.3", "10.10.0.1", "A", "a", "a2", "a02", "a10", "b"]
    assert [line.removesuffix(": 0") for line in lines] == expected


KEYS = st.text("ab01:./é", max_size=6)


@given(KEYS, KEYS)
def test_keys_that_differ_have_an_order(one: str, other: str) -> None:
    assert (goyaml.natural(one) == goyaml.natural(other)) == (one == other)


ROWS = [("1", "x"), ("1000000", "yy")]


@pytest.mark.parametrize(
    ("padded", "lines"),
    [
        ("rows", ["A         B", "1         x    ", "1000000   yy   "]),
        ("all", ["A         B    ", "1         x    ", "1000000   yy   "]),
        ("none", ["A         B", "1         x", "1000000   yy"]),
    ],
)
def test_tables(padded: str, lines: list[str]) -> None:
    assert list(tabular.lines(("A", "B"), ROWS, padded)) == lines


def test_empty_tables() -> None:
    assert list(tabular.lines(("A", "B"), [])) == ["A    B"]
    assert list(tabular.lines(("A", "B"), [], titles_when_empty=False)) == []


@given(st.lists(st.integers(0, 20), max_size=300))
def test_gos_sort_sorts(numbers: list[int]) -> None:
    assert list(go_sorted(numbers, lambda number: number)) == sorted(numbers)


@given(st.lists(st.integers(0, 3), max_size=300))
def test_gos_sort_keeps_every_element(keys: list[int]) -> None:
    pairs = list(enumerate(keys))
    found = list(go_sorted(pairs, lambda pair: pair[1]))
    assert sorted(found) == pairs
    assert [key for _, key in found] == sorted(keys)


def test_gos_sort_of_a_short_list_is_stable() -> None:
    pairs = [(n % 2, n) for n in range(12)]
    assert list(go_sorted(pairs, lambda pair: pair[0])) == sorted(pairs)


def test_gos_sort_where_it_breaks_a_pattern() -> None:
    """What Go 1.21 and later make of a list whose first partition is unbalanced."""
    keys = [5, 6, 1, 2, 4, 1, 0, 2, 4, 0, 6, 5, 9, 7, 1, 8, 7, 0, 0, 4]
    order = [9, 6, 17, 18, 14, 2, 5, 3, 7, 4, 19, 8, 0, 11, 10, 1, 16, 13, 15, 12]
    assert list(go_sorted(range(len(keys)), lambda at: keys[at])) == order
