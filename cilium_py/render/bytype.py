"""How a value is written, by its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Write: TypeAlias = Callable[[Any], str]


class ByType(dict[type, Write]):
    """Type -> function; a type that is not named has that of the first of its bases that is."""

    def __missing__(self, kind: type) -> Write:
        self[kind] = next(self[base] for base in kind.__mro__[1:] if base in self)
        return self[kind]
