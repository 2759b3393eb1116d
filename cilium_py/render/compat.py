"""cilium-dbg's own output, to the byte: text, JSON, YAML and jsonpath of Go values.

A definition with a GoTable or a GoList is written by `write`; a command that joins maps hands its document (built of
cilium_py.schema.golang's values) to `write_document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, BinaryIO, TypeAlias

from cilium_py.errors import WrongUsage
from cilium_py.render import gojson, goyaml, tabular
from cilium_py.render.output import Output
from cilium_py.render.spool import arranged
from cilium_py.render.stream import chunks
from cilium_py.schema import GoList, GoTable, MapDef
from cilium_py.schema.golang import GoStruct, Nil, Pair

Group: TypeAlias = tuple[str, list[str]]


def write(stream: BinaryIO, output: Output, definition: MapDef[Any], maps: Iterable[Iterable[Pair]]) -> None:
    """Write what cilium-dbg prints of these maps."""
    shape = definition.compat
    match shape:
        case GoTable():
            if output.is_text and shape.text:
                rows = (tuple(shape.text.cells(entry.row)) for entry in chain.from_iterable(maps))
                cells = arranged(rows, lambda each: each)
                write_lines(stream, tabular.lines(shape.text.titles, cells, shape.text.padded, shape.titles_when_empty))
                return
            groups = _groups(shape, chain.from_iterable(maps))
            if output.is_text:
                write_lines(stream, _group_lines(shape, groups))
            else:
                _write_groups(stream, output, groups)
        case GoList():
            if shape.arranged:
                maps = map(shape.arranged, maps)
            if output.is_text:
                write_lines(stream, _list_lines(definition, shape, maps))
            elif shape.document_per_map:
                for entries in maps:
                    write_list(stream, output, shape, entries)
            else:
                write_list(stream, output, shape, chain.from_iterable(maps))
        case None:
            raise WrongUsage(f"cilium-dbg has no command for {' '.join(definition.command)}", "leave out --compat")


def write_document(stream: BinaryIO, output: Output, document: Any) -> None:
    """Write one Go value as -o says."""
    match output.format:
        case "json":
            text = gojson.indented(document) + "\n\n"
        case "yaml":
            text = goyaml.document(yaml_shape(document)) + "\n"
        case "jsonpath" if not output.template:
            text = gojson.indented(document) + "\n\n"
        case "jsonpath":
            from cilium_py.render.jsonpath import evaluate

            text = evaluate(output.template, document) + "\n"
        case _:
            raise WrongUsage(f"-o {output.format}: not with --compat", "cilium-dbg has json, yaml, jsonpath=TEMPLATE")
    stream.write(text.encode())


def write_lines(stream: BinaryIO, lines: Iterable[str]) -> None:
    for chunk in chunks(lines):
        stream.write("".join(line + "\n" for line in chunk).encode())


def _groups(shape: GoTable[Any], entries: Iterable[Pair]) -> Iterator[Group]:
    """The key texts in order, each with its value texts: cilium-dbg's map[string][]string."""
    for key, pairs in groupby(arranged(map(shape.entry, entries), itemgetter(0)), itemgetter(0)):
        yield key, [value for _, value in pairs]


def _group_lines(shape: GoTable[Any], groups: Iterable[Group]) -> Iterator[str]:
    """Two columns; only the first line of a group shows its key."""
    cells = (("" if at else key, value) for key, values in groups for at, value in enumerate(values))
    return tabular.lines(shape.titles, cells, titles_when_empty=shape.titles_when_empty)


def _write_groups(stream: BinaryIO, output: Output, groups: Iterator[Group]) -> None:
    """An object of lists, group by group where the format allows it."""
    match output.format:
        case "yaml":
            found = arranged(groups, lambda group: goyaml.Key(group[0]))
            first = next(found, None)
            for group in chain([first] if first else (), found):
                stream.write(goyaml.document(dict([group])).encode())
            stream.write(b"\n" if first else b"{}\n\n")
        case "json":
            _write_members(stream, (gojson.indented(dict([group]))[1:-2] for group in groups), "{", "}")
        case "jsonpath" if not output.template:
            _write_groups(stream, Output("json"), groups)
        case _:
            write_document(stream, output, dict(groups))


def _list_lines(definition: MapDef[Any], shape: GoList[Any], maps: Iterable[Iterable[Pair]]) -> Iterator[str]:
    text = shape.text or definition.text
    each: Iterable[Iterable[Pair]] = maps if shape.blank_line_after_map else [chain.from_iterable(maps)]
    for entries in each:
        rows = (entry.row for entry in entries)
        yield from tabular.text_lines(text, arranged(rows, shape.order) if shape.order else rows)
        if shape.blank_line_after_map:
            yield ""


def write_list(stream: BinaryIO, output: Output, shape: GoList[Any], entries: Iterable[Pair]) -> None:
    """A list, item by item where the format allows it."""
    items: Iterator[Any] = (shape.item(entry) for entry in entries)
    if shape.merge:
        items = shape.merge(items)
    if output.format == "jsonpath" and output.template:
        found = list(items)
        if found or not shape.silent_when_empty:
            write_document(stream, output, found or (Nil() if shape.nil_when_empty else []))
        return
    first = next(items, None)
    if first is None and shape.silent_when_empty:
        return
    if first is None:
        write_document(stream, output, Nil() if shape.nil_when_empty else [])
    elif output.format == "yaml":
        for item in chain([first], items):
            stream.write(goyaml.document([yaml_shape(item)]).encode())
        stream.write(b"\n")
    elif output.format not in ("json", "jsonpath"):
        write_document(stream, output, None)
    else:
        members = ("\n  " + gojson.indented(item).replace("\n", "\n  ") for item in chain([first], items))
        _write_members(stream, members, "[", "]")


def _write_members(stream: BinaryIO, members: Iterable[str], start: str, end: str) -> None:
    """The members of a JSON list or object, each with its own newline and indent before it."""
    separator = start
    try:
        for member in members:
            stream.write((separator + member).encode())
            separator = ","
    finally:
        if separator == ",":
            stream.write(f"\n{end}\n\n".encode())
    if separator == start:
        stream.write(f"{start}{end}\n\n".encode())


def yaml_shape(value: Any) -> Any:
    """A Go value as yaml.v3 sees it: fields in lower case, embedded structs as fields, maps to be sorted."""
    if isinstance(value, GoStruct):
        pairs = zip(value.type.fields, value.values, strict=True)
        return {field.name.lower(): yaml_shape(item) for field, item in pairs}
    if isinstance(value, dict):
        return goyaml.Natural((str(key), yaml_shape(item)) for key, item in value.items())
    if isinstance(value, (list, tuple, bytes)):
        return [yaml_shape(item) for item in value]
    return value
