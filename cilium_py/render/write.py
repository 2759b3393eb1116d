"""One function that writes rows in any format, streaming where the format allows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

from cilium_py.render import grid, rowyaml, tabular
from cilium_py.render.output import Output
from cilium_py.render.rowjson import encoded, writer
from cilium_py.render.stream import chunks, put_members
from cilium_py.render.values import as_object, converters, plain
from cilium_py.schema import Line, Table

R = TypeVar("R", bound=tuple[Any, ...])


def write(stream: BinaryIO, output: Output, rows: Iterable[R], row: type[R], text: Table[R] | Line[R]) -> None:
    """Write all rows as one document. An error while reading surfaces after the rows that were read before it."""
    match output.format:
        case "text":
            _lines(stream, tabular.text_lines(text, rows))
        case "table":
            _table(stream, rows, row)
        case "json":
            if not put_members(stream, pieces_of("json", rows, row, text), b"[", b"\n]\n"):
                stream.write(b"[]\n")
        case "jsonl":
            _lines(stream, map(writer(row), rows))
        case "yaml":
            _yaml(stream, map(rowyaml.writer(row), rows))
        case "csv":
            _csv(stream, rows, row)
        case "jsonpath":
            from cilium_py.render.jsonpath import write as write_jsonpath

            write_jsonpath(stream, output.template, rows)


def write_value(stream: BinaryIO, output: Output, value: Any) -> None:
    """Write one document that is not a list of rows (a NamedTuple, dict or list) in a machine format."""
    document = plain(value)
    match output.format:
        case "yaml":
            stream.write(rowyaml.dumped(document).encode())
        case "jsonl":
            items = document if isinstance(document, list) else [document]
            _lines(stream, (encoded(item) for item in items))
        case "jsonpath":
            from cilium_py.render.jsonpath import evaluate

            _lines(stream, [evaluate(output.template, document)])
        case _:
            _lines(stream, [json.dumps(document, indent=2, ensure_ascii=False)])


def _lines(stream: BinaryIO, lines: Iterable[str]) -> None:
    for chunk in chunks(lines):
        stream.write(("\n".join(chunk) + "\n").encode())


def _yaml(stream: BinaryIO, items: Iterable[str]) -> None:
    is_empty = True
    for chunk in chunks(items):
        stream.write("".join(chunk).encode())
        is_empty = False
    if is_empty:
        stream.write(b"[]\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return str(value)


def _csv(stream: BinaryIO, rows: Iterable[R], row: type[R]) -> None:
    head = header("csv", row)
    for chunk in chunks(rows):
        stream.write(head + records(chunk))
        head = b""
    stream.write(head)


def records(rows: Iterable[Any]) -> bytes:
    """Rows as records of CSV."""
    import csv
    import io

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(
        [_cell(value) for value in as_object(row).values()] for row in rows
    )
    return buffer.getvalue().encode()


def header(form: str, row: type[tuple[Any, ...]]) -> bytes:
    """What a format has before its first row."""
    return ",".join(name for name, _ in converters(row)).encode() + b"\n" if form == "csv" else b""


def pieces_of(form: str, rows: Iterable[R], row: type[R], text: Table[R] | Line[R]) -> Iterator[bytes]:
    """Some of the rows of a document in text, json, jsonl or csv: each object of JSON with a comma before it."""
    for chunk in chunks(rows):
        match form:
            case "text":
                yield "".join(line + "\n" for line in tabular.text_lines(text, chunk)).encode()
            case "json":
                yield "".join(",\n  " + item for item in map(writer(row), chunk)).encode()
            case "jsonl":
                yield "".join(item + "\n" for item in map(writer(row), chunk)).encode()
            case "csv":
                yield records(chunk)


def _table(stream: BinaryIO, rows: Iterable[R], row: type[R]) -> None:
    titles = [name.upper().replace("_", " ") for name, _ in converters(row)]
    cells = ([_cell(value) for value in as_object(item).values()] for item in rows)
    _lines(stream, grid.lines(titles, cells))
