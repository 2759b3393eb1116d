"""jsonpath templates with the meaning they have in kubectl: text, {.fields}, [lists], filters, ranges.

The same engine serves our rows (dicts and lists) and the Go values of --compat (cilium_py.schema.golang), which know
how Go would print them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from cilium_py.errors import WrongUsage
from cilium_py.render import gojson
from cilium_py.render.jsonpath_parse import (
    Field,
    Filter,
    Node,
    Quoted,
    Recursive,
    Slice,
    Union,
    Wildcard,
    Word,
    parse,
)
from cilium_py.schema.golang import GoStruct

Values = list[Any]


def evaluate(template: str, document: Any) -> str:
    """What a template makes of a document. Raises WrongUsage for one that cannot be read or does not fit."""
    return "".join(_Run(parse(template)).texts(0, document))


class _Run:
    """Goes through the steps of a template."""

    def __init__(self, steps: list[str | list[Node]]) -> None:
        self.steps = steps
        self.depth = 0
        """In how many ranges."""
        self.last_end = 0
        """The step behind the {end} that was met last: where one goes on after a range."""

    def texts(self, at: int, value: Any) -> list[str]:
        """What the steps from `at` on print; in a range, up to its {end}."""
        texts: list[str] = []
        while at < len(self.steps):
            step = self.steps[at]
            at += 1
            if isinstance(step, str):
                texts.append(step)
                continue
            match step:
                case [Word("end"), *_]:
                    if not self.depth:
                        raise WrongUsage("jsonpath: {end} without {range}")
                    self.last_end = at
                    return texts
                case [Word("range"), *path]:
                    texts += self.range(at, _walk([value], path))
                    at = max(at, self.last_end)
                case _:
                    texts.append(" ".join(printed(found) for found in _walk([value], step)))
        return texts

    def range(self, at: int, values: Values) -> list[str]:
        """What the steps from `at` to the {end} print of each value. Without one, they are all met once more."""
        self.depth += 1
        texts = [text for value in values for text in self.texts(at, _held(value))]
        if not values:
            self.texts(at, None)
        self.depth -= 1
        return texts


def printed(value: Any) -> str:
    """One result: a string raw, a collection as compact JSON, a Go value with a text as that."""
    if isinstance(value, GoStruct) and value.reference:
        return gojson.said(value)
    if isinstance(value, (dict, list, tuple, bytes, GoStruct)) or gojson.is_marshaled(value):
        return gojson.compact(value)
    return gojson.said(value)


def _held(value: Any) -> Any:
    """A value taken out of the interface that it was in: now one can look inside."""
    if isinstance(value, GoStruct) and value.reference == "interface":
        return GoStruct(value.type, value.values, value.text, "pointer")
    return value


def _at(value: Any) -> Any:
    """What a pointer points to."""
    if isinstance(value, GoStruct) and value.reference == "pointer":
        return GoStruct(value.type, value.values, value.text)
    return value


def _walk(values: Values, nodes: list[Node]) -> Values:
    for node in nodes:
        values = _step(values, node)
    return values


def _step(values: Values, node: Node) -> Values:
    match node:
        case Field(name):
            return [found for value in values for found in _field(value, name)]
        case Wildcard():
            return [child for value in values for child in _children(_at(value))]
        case Recursive():
            return [found for value in values for found in _descend(value)]
        case Slice():
            return _sliced(values, node)
        case Union(branches):
            return [found for branch in branches for found in _walk(values, branch)]
        case Filter():
            return [item for value in values for item in _filter(value, node)]
        case Quoted(text):
            return [text]
        case Word(name):
            raise WrongUsage(f"jsonpath: {name!r} is no word of a template", "quote text, put a dot before a field")
        case _:
            return [node.value for _ in values]


def _field(value: Any, name: str) -> Iterator[Any]:
    value = _at(value)
    if isinstance(value, dict):
        if name in value:
            yield value[name]
    elif isinstance(value, GoStruct) and not value.reference:
        yield from _member(value, name)


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


def _children(value: Any) -> Values:
    if isinstance(value, GoStruct):
        return [] if value.reference else list(value.values)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, str):
        return list(value.encode())
    return list(value) if isinstance(value, (list, tuple, bytes)) else []


def _descend(value: Any) -> Iterator[Any]:
    """A value that has parts and everything below it, depth first."""
    value = _at(value)
    children = _children(value)
    if children:
        yield value
        for child in children:
            yield from _descend(child)


def _items(value: Any, what: str) -> Values:
    value = _at(value)
    if not isinstance(value, (list, tuple, bytes)):
        raise WrongUsage(f"jsonpath: only a list can be {what}, not {type(value).__name__}")
    return list(value)


def _sliced(values: Values, wanted: Slice) -> Values:
    """What is wanted of each list; as in kubectl, the first one of which that is nothing is the last."""
    found: Values = []
    for value in values:
        if value is None:
            continue
        part = _slice(value, wanted)
        if not part:
            break
        found += part
    return found


def _slice(value: Any, wanted: Slice) -> Values:
    items = _items(value, "indexed")
    start = wanted.start or 0
    end = wanted.end if wanted.end is not None else len(items)
    start += len(items) if start < 0 else 0
    end += len(items) if end < 0 or (end == 0 and wanted.single) else 0
    if start == end:
        return []
    for index in (start, end - 1):
        if not 0 <= index < len(items):
            raise WrongUsage(f"jsonpath: index {index} of a list of {len(items)}")
    if start > end:
        raise WrongUsage(f"jsonpath: a slice from {start} to {end}")
    if wanted.step is not None and wanted.step <= 0:
        raise WrongUsage(f"jsonpath: a step of {wanted.step}")
    return items[start : end : wanted.step or 1]


def _filter(value: Any, wanted: Filter) -> Values:
    if value is None:
        return []
    return [item for item in _items(value, "filtered") if _passes(item, wanted)]


def _passes(item: Any, wanted: Filter) -> bool:
    if not wanted.operator:
        try:
            return bool(_walk([item], wanted.left))
        except WrongUsage:
            return True  # kubectl takes what it cannot look into for something that is there
    lefts = _walk([item], wanted.left)
    rights = _walk([item], wanted.right)
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


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "=~": _matches,
}
