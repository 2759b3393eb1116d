"""Answers that are remembered, for as many questions as there is room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Answers by what was asked, each shared by all who ask: nobody may change one.

    Once `most` are held all are forgotten: an LRU cache has a chain to mend with every question, this has none.
    """

    def __init__(self, answer: Callable[[K], V], most: int) -> None:
        super().__init__()
        self._answer = answer
        self._most = most

    def __missing__(self, asked: K) -> V:
        if len(self) >= self._most:
            self.clear()
        found = self[asked] = self._answer(asked)
        return found
