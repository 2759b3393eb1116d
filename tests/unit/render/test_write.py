"""Rows in every format, and what is written when reading them fails halfway."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from cilium_py.errors import Partial, WrongUsage
from cilium_py.render import FORMATS, Output, write, write_value
from cilium_py.render.rowjson import writer
from cilium_py.render.stream import CHUNK, chunks, collected
from cilium_py.render.values import as_object
from cilium_py.schema import Address, Line, Mac, Prefix, Table


class Row(NamedTuple):
    address: Address
    prefix: Prefix | None
    mac: Mac
    names: list[str]
    hosts: list[Address]
    count: int
    up: bool
    note: str | None


ROW = Row(bytes([10, 0, 0, 1]), (bytes(16), 64), bytes(range(8)), ["a", "b"], [bytes(4)], 1 << 63, True, None)
OBJECT = {
    "address": "10.0.0.1", "prefix": "::/64", "mac": "00:01:02:03:04:05", "names": ["a", "b"], "hosts": ["0.0.0.0"],
    "count": 1 << 63, "up": True, "note": None,
}  # fmt: skip
TEXT = Table[Row](("COUNT", "NAMES"), lambda row: (str(row.count), ",".join(row.names)))


def written(form: str, rows: Any, text: Table[Row] | Line[Row] = TEXT) -> str:
    stream = io.BytesIO()
    write(stream, Output.parse(form), rows, Row, text)
    return stream.getvalue().decode()


def test_text() -> None:
    assert written("text", [ROW]) == "COUNT                 NAMES\n9223372036854775808   a,b   \n"
    assert written("text", [ROW], Line(lambda _: "one")) == "one\n"
    assert written("text", [ROW, ROW], Line(lambda _: "one", shown=lambda _: False)) == ""


def test_json() -> None:
    assert json.loads(written("json", [ROW, ROW])) == [OBJECT, OBJECT]
    assert written("json", [ROW, ROW]).count("\n") == 4
    assert written("json", []) == "[]\n"


@pytest.mark.parametrize("row", [ROW, ROW._replace(prefix=None, names=[], up=False, note='"<é\x00\n%s')])
def test_a_line_of_json_is_what_the_json_module_writes(row: Row) -> None:
    assert writer(Row)(row) == json.dumps(as_object(row), ensure_ascii=False)


def test_jsonl() -> None:
    assert [json.loads(line) for line in written("jsonl", [ROW, ROW]).splitlines()] == [OBJECT, OBJECT]
    assert written("jsonl", []) == ""


def test_yaml() -> None:
    import yaml

    assert yaml.safe_load(written("yaml", [ROW, ROW])) == [OBJECT, OBJECT]
    assert yaml.safe_load(written("yaml", [])) == []


def test_csv() -> None:
    [titles, cells] = csv.reader(io.StringIO(written("csv", [ROW])))
    assert titles == list(Row._fields)
    assert cells == ["10.0.0.1", "::/64", "00:01:02:03:04:05", "a b", "0.0.0.0", str(1 << 63), "true", ""]
    assert written("csv", []).splitlines() == [",".join(Row._fields)]


def test_jsonpath() -> None:
    assert written("jsonpath={[*].prefix}", [ROW, ROW]) == "::/64 ::/64\n"
    assert written("jsonpath={[0]}", [ROW]) == json.dumps(OBJECT, separators=(",", ":"), sort_keys=True) + "\n"


def test_table() -> None:
    assert written("table", [ROW]).splitlines()[0].split() == [name.upper() for name in Row._fields]


@pytest.mark.parametrize("form", ["xml", "json=x", "jsonpath", "", "=", "JSON"])
def test_no_such_format(form: str) -> None:
    if form:
        with pytest.raises(WrongUsage, match="no such format"):
            Output.parse(form)
    else:
        assert Output.parse(form).is_text


def failing(count: int) -> Iterator[Row]:
    for number in range(count):
        yield ROW._replace(count=number)
    raise Partial("the map changed")


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "jsonpath"] + ["jsonpath={[*].count}"])
@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_what_was_read_before_an_error_is_written(form: str, count: int) -> None:
    stream = io.BytesIO()
    with pytest.raises(Partial):
        write(stream, Output.parse(form), failing(count), Row, TEXT)
    whole = written(form, [ROW._replace(count=number) for number in range(count)])
    assert stream.getvalue().decode() == (whole if count else "")


def test_rows_stream() -> None:
    """The first chunk is written before the second is read."""
    stream = io.BytesIO()
    seen = []

    def rows() -> Iterator[Row]:
        for _ in range(3 * CHUNK):
            seen.append(len(stream.getvalue()))
            yield ROW

    write(stream, Output.parse("jsonl"), rows(), Row, TEXT)
    assert seen[CHUNK - 1] == 0
    assert seen[-1] > 0


def test_chunks() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []


def test_collected_keeps_an_error_for_the_end() -> None:
    sums = collected(iter([1, 2]), lambda numbers: [sum(numbers)])
    assert list(sums) == [3]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("json", '{\n  "a": [\n    1\n  ]\n}\n'),
        ("yaml", "a:\n- 1\n"),
        ("jsonpath={.a[0]}", "1\n"),
        ("jsonl", '{"a": [1]}\n'),
    ],
)
def test_a_single_document(form: str, said: str) -> None:
    stream = io.BytesIO()
    write_value(stream, Output.parse(form), {"a": [1]})
    assert stream.getvalue().decode() == said
