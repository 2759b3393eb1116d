"""A row as an item of a YAML list, by a function made for its type: the text that PyYAML has for it, far sooner."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cilium_py.render.values import MARKED, converters

Writer = Callable[[Any], str]

PLAIN = re.compile(r"\d+\.\d+\.\d+\.\d+([/:]\d+)?|[a-f][0-9a-f:]*[0-9a-f](/\d+)?")
"""Addresses and prefixes that cannot be read as anything but text: there are too many to remember each."""


def dumped(document: Any) -> str:
    """A whole document."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text


@cache
def writer(row: type[tuple[Any, ...]]) -> Writer:
    """Writes rows of a type as mappings in a list, their keys the field names in order."""
    hints = get_type_hints(row, include_extras=True)
    fields = converters(row)
    template = "- " + "\n  ".join(f"{_scalar(name)}:%s" for name, _ in fields) + "\n"
    writers = tuple(_writer(hints[name], convert) for name, convert in fields)

    def item(value: Any) -> str:
        return template % tuple([write(field) for write, field in zip(writers, value, strict=True)])

    return item


def _writer(hint: Any, convert: Callable[[Any], Any] | None) -> Writer:
    """What stands behind the colon."""
    if get_origin(hint) in (Union, UnionType):
        [plain] = [option for option in get_args(hint) if option is not NoneType]
        write = _writer(plain, convert)
        return lambda value: " null" if value is None else write(value)
    if hint is int:
        return lambda value: f" {value}"
    if hint is bool:
        return lambda value: " true" if value else " false"
    if hint is str:
        return lambda value: f" {_text(value)}"
    if any(hint == mark for mark, _ in MARKED):
        assert convert is not None
        return lambda value: f" {_text(convert(value))}"
    if hint == list[str]:
        return _list
    return lambda value: _member(value if convert is None else convert(value))


def _list(values: list[str]) -> str:
    return "".join(f"\n  - {_scalar(value)}" for value in values) or " []"


def _text(text: str) -> str:
    return text if PLAIN.fullmatch(text) else _scalar(text)


@lru_cache(4096)
def _scalar(text: str) -> str:
    return _member(text)[1:]


def _member(value: Any) -> str:
    return dumped([{"k": value}])[len("- k:") : -1]
