"""A row as text, by a function made for its type: what each field is, is looked at once and not per row."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints

from cilium_py.render.values import MARKED, Converter, converters

Writer: TypeAlias = Callable[[Any], str]


class Forms(NamedTuple):
    """How a format writes the values of fields."""

    null: str
    false: str
    true: str
    number: Writer
    text: Writer
    marked: Callable[[Converter], Writer]
    """Of what makes text of an address, a prefix or a MAC: what writes such a value."""
    texts: Writer
    """Of lists of texts."""
    other: Writer
    """Of any other value in terms of JSON."""


def row_writer(row: type[tuple[Any, ...]], template: str, forms: Forms) -> Writer:
    """Writes rows of a type: a %s in the template for each field in order."""
    hints = get_type_hints(row, include_extras=True)
    writers = tuple(_writer(hints[name], convert, forms) for name, convert in converters(row))

    def written(value: Any) -> str:
        return template % tuple([write(field) for write, field in zip(writers, value, strict=True)])

    return written


def _writer(hint: Any, convert: Converter | None, forms: Forms) -> Writer:
    if get_origin(hint) in (Union, UnionType):
        [plain] = [option for option in get_args(hint) if option is not NoneType]
        write, null = _writer(plain, convert, forms), forms.null
        return lambda value: null if value is None else write(value)
    if hint is int:
        return forms.number
    if hint is bool:
        false, true = forms.false, forms.true
        return lambda value: true if value else false
    if hint is str:
        return forms.text
    if any(hint == mark for mark, _ in MARKED):
        assert convert is not None
        return forms.marked(convert)
    if hint == list[str]:
        return forms.texts
    other = forms.other
    return other if convert is None else lambda value: other(convert(value))
