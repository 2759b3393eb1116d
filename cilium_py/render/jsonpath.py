"""jsonpath templates with the meaning they have in kubectl: text, {.fields}, [lists], filters, ranges.

The same engine serves our rows, documents of dicts and lists, and the Go values of --compat (cilium_py.schema.golang),
which know how Go would print them. What a path finds is made one by one as it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from cilium_py.errors import WrongUsage
from cilium_py.render import gojson
from cilium_py.render.jsonpath_parse import (
    Constant,
    Field,
    Filter,
    Node,
    Quoted,
    Recursive,
    Slice,
    Steps,
    Union,
    Wildcard,
    Word,
    parse,
)
from cilium_py.render.jsonpath_plan import can_fail, goes_through_once
from cilium_py.render.jsonpath_root import Members, Rows
from cilium_py.render.spool import Spool
from cilium_py.render.stream import as_it_is, chunks
from cilium_py.render.values import as_object, is_row, member, plain
from cilium_py.schema.golang import GoStruct


def evaluate(template: str, document: Any) -> str:
    """What a template makes of a document. Raises WrongUsage for one that cannot be read or does not fit."""
    return "".join(_texts(parse(template), document))


def write(
    stream: BinaryIO,
    template: str,
    read: Iterable[Any],
    made: Callable[[Any], Any] = as_it_is,
    document: type[Rows] = Rows,
) -> None:
    """Write what a template makes of a list of any size, or of an object as pairs: as it is made, if nothing can fail.

    Raises WrongUsage before anything is written. An error while reading comes after what was made of the items that
    were read before it; where there are none, nothing is made.
    """
    steps = parse(template)
    with document(read, made, again=not goes_through_once(steps)) as root:
        if root or not root.failure:
            _write(stream, steps, root)
    if root.failure:
        raise root.failure


def _write(stream: BinaryIO, steps: Steps, root: Rows) -> None:
    with Spool[bytes]() as held:
        pieces: Iterable[bytes] = ("".join(chunk).encode() for chunk in chunks(_texts(steps, root)))
        if can_fail(steps, of_list=not isinstance(root, Members)):
            for piece in pieces:
                held.add(piece)
            pieces = held
        for piece in pieces:
            stream.write(piece)
    stream.write(b"\n")


def _texts(steps: Steps, document: Any) -> Iterator[str]:
    try:
        yield from _Run(steps).texts(0, document)
    except RecursionError:
        raise WrongUsage("jsonpath: the template is too deep") from None


class _Run:
    """Goes through the steps of a template."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.depth = 0
        """In how many ranges."""
        self.last_end = 0
        """The step behind the {end} that was met last: where one goes on after a range."""

    def texts(self, at: int, value: Any) -> Iterator[str]:
        """What the steps from `at` on print; in a range, up to its {end}."""
        while at < len(self.steps):
            step = self.steps[at]
            at += 1
            if isinstance(step, str):
                yield step
            elif not step.word:
                yield from _shown(_found((value,), step.path))
            elif step.word == "range":
                yield from self.range(at, _found((value,), step.path))
                at = max(at, self.last_end)
            elif self.depth:
                self.last_end = at
                return
            else:
                raise WrongUsage("jsonpath: {end} without {range}")

    def range(self, at: int, values: Iterable[Any]) -> Iterator[str]:
        """What the steps from `at` to the {end} print of each value. Without one, they are all met once more."""
        self.depth += 1
        is_empty = True
        for value in values:
            is_empty = False
            yield from self.texts(at, _held(value))
        if is_empty:
            for _ in self.texts(at, None):
                pass
        self.depth -= 1


def _shown(values: Iterable[Any]) -> Iterator[str]:
    """Results with spaces between them."""
    separator = ""
    for value in values:
        if isinstance(value, Rows):
            yield separator
            yield from value.printed()
        else:
            yield separator + printed(value)
        separator = " "


def printed(value: Any) -> str:
    """One result: a string raw, a collection as compact JSON, a Go value with a text as that."""
    if isinstance(value, GoStruct) and value.reference:
        return gojson.said(value)
    if isinstance(value, (dict, list, tuple, bytes, GoStruct)) or gojson.is_marshaled(value):
        return gojson.compact(plain(value) if isinstance(value, tuple) else value)
    return gojson.said(value)


def _held(value: Any) -> Any:
    """A value taken out of the interface that it was in: now one can look inside."""
    if isinstance(value, GoStruct) and value.reference == "interface":
        return GoStruct(value.type, value.values, value.text, "pointer")
    return value


def _at(value: Any) -> Any:
    """What a pointer points to, the object that a row stands for."""
    if isinstance(value, GoStruct):
        return GoStruct(value.type, value.values, value.text) if value.reference == "pointer" else value
    return as_object(value) if is_row(value) else value


def _found(values: Iterable[Any], path: Sequence[Node]) -> Iterable[Any]:
    """What a path finds from values; to be gone through as often as needed, and found anew each time."""
    for node in path:
        values = _Found(values, node)
    return values


class _Found:
    """What a node makes of values."""

    __slots__ = ("node", "values")

    def __init__(self, values: Iterable[Any], node: Node) -> None:
        self.values = values
        self.node = node

    def __iter__(self) -> Iterator[Any]:
        return FINDERS[type(self.node)](self.values, self.node)


def _fields(values: Iterable[Any], node: Field) -> Iterator[Any]:
    for value in values:
        yield from _field(value, node.name)


def _parts(values: Iterable[Any], _: Wildcard) -> Iterator[Any]:
    for value in values:
        yield from _children(_at(value))


def _below(values: Iterable[Any], _: Recursive) -> Iterator[Any]:
    for value in values:
        yield from _descend(value)


def _united(values: Iterable[Any], node: Union) -> Iterator[Any]:
    for branch in node.branches:
        yield from _found(values, branch)


def _filtered(values: Iterable[Any], node: Filter) -> Iterator[Any]:
    for value in values:
        if value is not None:
            yield from (item for item in _items(value, "filtered") if _passes(item, node))


def _quoted(values: Iterable[Any], node: Quoted) -> Iterator[Any]:
    _all(values)
    yield node.text


def _constant(values: Iterable[Any], node: Constant) -> Iterator[Any]:
    for _ in values:
        yield node.value


def _refused(_: Iterable[Any], node: Word) -> Iterator[Any]:
    raise WrongUsage(f"jsonpath: {node.name!r} is no word of a template", "quote text, put a dot before a field")


def _all(values: Iterable[Any]) -> None:
    """Go through values for what may be wrong with them."""
    for _ in values:
        pass


def _field(value: Any, name: str) -> Iterable[Any]:
    if is_row(value):
        try:
            return (member(value, name),)
        except KeyError:
            return ()
    value = _at(value)
    if isinstance(value, dict):
        return (value[name],) if name in value else ()
    if isinstance(value, GoStruct) and not value.reference:
        return _member(value, name)
    return value.named(name) if isinstance(value, Members) else ()


def _member(struct: GoStruct, name: str) -> Iterator[Any]:
    """A field of a Go struct: by its tag, within the last untagged field, or by name (embedded structs included)."""
    pairs = list(zip(struct.type.fields, struct.values, strict=True))
    for field, value in pairs:
        if field.json == name:
            yield value
            return
    untagged = [value for field, value in pairs if not field.json]
    if untagged and isinstance(untagged[-1], GoStruct) and not untagged[-1].reference:
        found = list(_member(untagged[-1], name))
        if found:
            yield from found
            return
    yield from _promoted(struct, name)


def _promoted(struct: GoStruct, name: str) -> Iterator[Any]:
    level = [struct]
    while level:
        pairs = [pair for s in level for pair in zip(s.type.fields, s.values, strict=True)]
        named = [value for field, value in pairs if field.name == name]
        if named:
            yield named[0]
            return
        level = [_at(value) for field, value in pairs if field.embedded and isinstance(value, GoStruct)]


def _children(value: Any) -> Iterable[Any]:
    """Empty is false."""
    if isinstance(value, GoStruct):
        return () if value.reference else value.values
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, (list, tuple, bytes, Rows)) else ()


def _descend(value: Any) -> Iterator[Any]:
    """A value that has parts and everything below it, depth first."""
    value = _at(value)
    children = _children(value)
    if children:
        yield value
        if not isinstance(value, (str, bytes)):  # bytes have no parts
            for child in children:
                yield from _descend(child)


def _items(value: Any, what: str) -> Sequence[Any] | Rows:
    value = _at(value)
    if not isinstance(value, (list, tuple, bytes, Rows)) or isinstance(value, Members):
        kind = "object" if isinstance(value, (dict, GoStruct, Members)) else type(value).__name__
        raise WrongUsage(f"jsonpath: only a list can be {what}, not {kind}")
    return value


def _sliced(values: Iterable[Any], wanted: Slice) -> Iterator[Any]:
    """What is wanted of each list; as in kubectl, the first one of which that is nothing is the last."""
    remaining = iter(values)
    for value in remaining:
        if value is None:
            continue
        part = _slice(value, wanted)
        if not part:
            break
        yield from part
    _all(remaining)


def _slice(value: Any, wanted: Slice) -> Iterable[Any]:
    """Empty is false."""
    items = _items(value, "indexed")
    if wanted.is_whole:
        return items
    start = wanted.start or 0
    end = wanted.end if wanted.end is not None else len(items)
    start += len(items) if start < 0 else 0
    end += len(items) if end < 0 or (end == 0 and wanted.single) else 0
    if start == end:
        return ()
    for index in (start, end - 1):
        if index < 0 or not _has(items, index):
            raise WrongUsage(f"jsonpath: index {index} of a list of {len(items)}")
    if start > end:
        raise WrongUsage(f"jsonpath: a slice from {start} to {end}")
    if wanted.step is not None and wanted.step <= 0:
        raise WrongUsage(f"jsonpath: a step of {wanted.step}")
    step = wanted.step or 1
    return items.part(start, end, step) if isinstance(items, Rows) else items[start:end:step]


def _has(items: Sequence[Any] | Rows, index: int) -> bool:
    return items.has(index) if isinstance(items, Rows) else index < len(items)


def _passes(item: Any, wanted: Filter) -> bool:
    if not wanted.operator:
        try:
            return any(True for _ in _found((item,), wanted.left))
        except WrongUsage:
            return True  # kubectl takes what it cannot look into for something that is there
    lefts = list(_found((item,), wanted.left))
    rights = list(_found((item,), wanted.right))
    if not lefts or not rights:
        return False
    if len(lefts) > 1 or len(rights) > 1:
        raise WrongUsage("jsonpath: a filter compares one value with one value")
    if wanted.operator not in OPERATORS:
        raise WrongUsage(f"jsonpath: no operator {wanted.operator}", f"one of {', '.join(OPERATORS)}")
    left, right = lefts[0], rights[0]
    try:
        if isinstance(left, str) != isinstance(right, str):
            raise TypeError
        return OPERATORS[wanted.operator](left, right)
    except TypeError:
        raise WrongUsage(f"jsonpath: {printed(left)} cannot be compared with {printed(right)}") from None


def _matches(text: Any, pattern: Any) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise WrongUsage(f"jsonpath: {pattern!r} is no regular expression: {error}") from None


FINDERS: dict[type, Callable[[Iterable[Any], Any], Iterator[Any]]] = {
    Field: _fields,
    Wildcard: _parts,
    Recursive: _below,
    Slice: _sliced,
    Union: _united,
    Filter: _filtered,
    Quoted: _quoted,
    Constant: _constant,
    Word: _refused,
}

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "=~": _matches,
}
