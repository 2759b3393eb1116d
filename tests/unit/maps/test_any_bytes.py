"""Whatever bytes a map holds, every layout makes a row of them, and every format can say it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cilium_py.cli.bpf import definitions
from cilium_py.render import gojson, goyaml
from cilium_py.render.values import as_object
from cilium_py.schema import GoList, GoTable, InnerMap, Layout, Line, MapDef, Pair, Table

LAYOUTS = [
    pytest.param(definition, layout, id=f"{' '.join(definition.command)} {source.pin} {layout.release}")
    for definition in definitions()
    for source in (*definition.sources, *definition.scoped)
    for layout in source.layouts
]
INNER_VALUES = {"multicast group": 12, "lb maglev": 12}


def values(definition: MapDef[Any], layout: Layout[Any]) -> st.SearchStrategy[Any]:
    """Values as `decode` gets them: a Struct, or of a map of maps its inner entries."""
    if layout.value is not InnerMap:
        return exactly(layout.value.size).map(layout.value.unpack)
    entry = st.tuples(exactly(4), exactly(INNER_VALUES[" ".join(definition.command)]))
    return st.lists(entry, max_size=3)


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(min_size=size, max_size=size), st.just(bytes(size)), st.just(b"\xff" * size))


@pytest.mark.parametrize(("definition", "layout"), LAYOUTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_bytes_can_be_said(definition: MapDef[Any], layout: Layout[Any], data: st.DataObject) -> None:
    key = layout.key.unpack(data.draw(exactly(layout.key.size)))
    value = data.draw(values(definition, layout))
    row = layout.decode(key, value)
    assert isinstance(row, definition.row)
    json.dumps(as_object(row))
    if definition.order is not None:
        assert sorted([row, row], key=definition.order) == [row, row]
    if definition.keep is not None:
        definition.keep(row)
    say(definition.text, row)
    say_as_cilium_dbg(definition, Pair(key, value, row))


def say(text: Table[Any] | Line[Any], row: Any) -> None:
    if isinstance(text, Line):
        assert isinstance(text.line(row), str)
    else:
        cells = text.cells(row)
        assert len(cells) == len(text.titles)
        assert all(isinstance(cell, str) for cell in cells)


def say_as_cilium_dbg(definition: MapDef[Any], pair: Pair) -> None:
    shape = definition.compat
    if isinstance(shape, GoTable):
        assert [type(text) for text in shape.entry(pair)] == [str, str]
    elif isinstance(shape, GoList):
        item = shape.item(pair)
        goyaml.document([item])
        if definition.command != ("auth",):  # JSON has no years beyond 9999
            gojson.indented(item)
    if shape is not None and shape.text is not None:
        say(shape.text, pair.row)
