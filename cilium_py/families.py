"""Every map family that is known, and which of them a pin is of."""

from __future__ import annotations

import pkgutil
import re
from functools import cache
from importlib import import_module
from typing import Any

from cilium_py import maps
from cilium_py.schema import MapDef, Source


def definitions() -> list[MapDef[Any]]:
    """The definition of every map file that has one, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(maps.__path__))
    modules = (import_module(f"{maps.__name__}.{name}") for name in names)
    return [module.MAP for module in modules if hasattr(module, "MAP")]


def source_of(pin: str) -> Source[Any] | None:
    """The source that a pin is of; `{}` in the name of a source is any number or word."""
    found = family_of(pin)
    return found[1] if found else None


def family_of(pin: str) -> tuple[MapDef[Any], Source[Any]] | None:
    """The definition and the source that a pin is of."""
    if pin in _by_name():
        return _by_name()[pin]
    return next((found for pattern, found in _by_pattern() if pattern.fullmatch(pin)), None)


@cache
def _by_name() -> dict[str, tuple[MapDef[Any], Source[Any]]]:
    return {
        source.pin: (definition, source)
        for definition in definitions()
        for source in (*definition.sources, *definition.scoped)
    }


@cache
def _by_pattern() -> list[tuple[re.Pattern[str], tuple[MapDef[Any], Source[Any]]]]:
    return [(re.compile(re.sub(r"\{.*?\}", r"\\w+", name)), found) for name, found in _by_name().items() if "{" in name]
