"""A row as an item of a YAML list: the text that PyYAML has for it, far sooner."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from cilium_py.render.rowtext import Forms, Writer, row_writer
from cilium_py.render.values import Converter
from cilium_py.schema.rowtype import field_names

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
    return row_writer(row, "- " + "\n  ".join(f"{_scalar(name)}:%s" for name in field_names(row)) + "\n", FORMS)


def _word(text: str) -> str:
    return f" {_text(text)}"


def _marked(convert: Converter) -> Writer:
    return lambda value: f" {_text(convert(value))}"


def _list(values: list[str]) -> str:
    return "".join(f"\n  - {_scalar(value)}" for value in values) or " []"


def _text(text: str) -> str:
    return text if PLAIN.fullmatch(text) else _scalar(text)


@lru_cache(4096)
def _scalar(text: str) -> str:
    return _member(text)[1:]


def _member(value: Any) -> str:
    return dumped([{"k": value}])[len("- k:") : -1]


# What stands behind the colon.
FORMS = Forms(" null", " false", " true", " {}".format, _word, _marked, _list, _member)
