"""cilium-dbg's own output, to the byte: text, JSON, YAML and jsonpath of Go values.

A definition with a GoTable or a GoList is written by `write`; a command that joins maps hands its document (built of
cilium_py.schema.golang's values) to `write_document`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, BinaryIO, TypeAlias

from cilium_py.errors import WrongUsage
from cilium_py.render import gojson, goyaml, tabular
from cilium_py.render.output import Output
from cilium_py.render.spool import arranged
from cilium_py.render.stream import as_it_is, chunks, put, put_members
from cilium_py.schema import GoList, GoTable, MapDef
from cilium_py.schema.golang import GoStruct, Hole, Nil, Pair

Group: TypeAlias = tuple[str, list[str]]
CONTENT = Hole("\0")


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
            groups = _groups(shape, chain.from_iterable(maps), goyaml.natural if output.format == "yaml" else as_it_is)
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
            text = goyaml.document(document) + "\n"
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


def _groups(shape: GoTable[Any], entries: Iterable[Pair], rank: Callable[[str], str]) -> Iterator[Group]:
    """The key texts by their rank, each with its value texts: cilium-dbg's map[string][]string."""
    texts = ((rank(key), key, value) for key, value in map(shape.entry, entries))
    for _, alike in groupby(arranged(texts, itemgetter(0)), itemgetter(0)):
        (_, key, first), *others = alike
        yield key, [first, *(value for _, _, value in others)]


def _group_lines(shape: GoTable[Any], groups: Iterable[Group]) -> Iterator[str]:
    """Two columns; only the first line of a group shows its key."""
    cells = (("" if at else key, value) for key, values in groups for at, value in enumerate(values))
    return tabular.lines(shape.titles, cells, titles_when_empty=shape.titles_when_empty)


def _write_groups(stream: BinaryIO, output: Output, groups: Iterator[Group]) -> None:
    """An object of lists, group by group where the format allows it; those of YAML are in the order that it has."""
    match output.format:
        case "yaml":
            if not put(stream, _joined(goyaml.document(dict([group])) for group in groups), b"\n"):
                stream.write(b"{}\n\n")
        case "json":
            members = _joined(f",\n  {gojson.indented(key)}: {gojson.indented(values, 1)}" for key, values in groups)
            if not put_members(stream, members, b"{", b"\n}\n\n"):
                stream.write(b"{}\n\n")
        case "jsonpath" if not output.template:
            _write_groups(stream, Output("json"), groups)
        case "jsonpath":
            from cilium_py.render.jsonpath import write as write_jsonpath
            from cilium_py.render.jsonpath_root import Members

            write_jsonpath(stream, output.template, groups, document=Members)
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
    read: Iterator[Any] = iter(entries)
    made = shape.item
    if shape.merge:
        read, made = shape.merge(map(made, read)), as_it_is
    if output.format == "jsonpath" and output.template:
        first = next(read, None)
        if first is not None:
            from cilium_py.render.jsonpath import write as write_jsonpath

            write_jsonpath(stream, output.template, chain([first], read), made)
            return
    write_items(stream, output, shape, _pieces(output, map(made, read)))


def write_items(stream: BinaryIO, output: Output, shape: GoList[Any], pieces: Iterator[bytes | memoryview]) -> None:
    """Items of a list that are text already, those of JSON each with a comma before it."""
    match output.format:
        case "yaml":
            is_written = put(stream, pieces, b"\n")
        case "json" | "jsonpath":
            is_written = put_members(stream, pieces, b"[", b"\n]\n\n")
        case _:
            is_written = False
    if not (is_written or shape.silent_when_empty):
        write_document(stream, output, Nil() if shape.nil_when_empty else [])


def write_nested(
    stream: BinaryIO, output: Output, lists: Iterable[tuple[Callable[[Any], GoStruct], Iterator[Any]]]
) -> None:
    """A list of structs that hold lists, item by item: of each what makes it of its list, and that list's items."""
    if output.format == "jsonpath" and output.template:
        from cilium_py.render.jsonpath import write as write_jsonpath

        write_jsonpath(stream, output.template, (struct(list(items)) for struct, items in lists))
        return
    pieces = (piece for struct, items in lists for piece in _nested(output, struct, items))
    write_items(stream, output, GoList(lambda entry: entry), pieces)


def _nested(output: Output, struct: Callable[[Any], GoStruct], items: Iterator[Any]) -> Iterator[bytes]:
    """A struct in a list, the list in it piece by piece."""
    [outer] = _pieces(output, iter([struct(CONTENT)]))
    head, tail = outer.split(CONTENT.encode())
    pieces = _pieces(output, items, 2)
    first = next(pieces, None)
    if first is None:
        yield head + b"[]" + tail
    elif output.format == "yaml":
        yield head.removesuffix(b" ") + b"\n" + first
        yield from pieces
        yield tail.removeprefix(b"\n")
    else:
        yield head + b"[" + first[1:]
        yield from pieces
        yield b"\n    ]" + tail


def _pieces(output: Output, items: Iterator[Any], depth: int = 0) -> Iterator[bytes]:
    """Items of a list that has so many levels around it, those of JSON each with a comma before it."""
    if output.format == "yaml":
        return _joined(goyaml.document([item], 2 * depth) for item in items)
    line = "\n" + "  " * (depth + 1)
    return _joined(f",{line}{gojson.indented(item, depth + 1)}" for item in items)


def _joined(texts: Iterable[str]) -> Iterator[bytes]:
    return ("".join(chunk).encode() for chunk in chunks(texts))
