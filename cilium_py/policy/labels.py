"""Labels as rules match them: a key may name the source of the label, or leave it open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ANY = "any"
NAMESPACE = "io.kubernetes.pod.namespace"


class LabelSet:
    """The labels of an identity, ready to be matched many times."""

    __slots__ = ("_values",)

    def __init__(self, labels: Iterable[str]) -> None:
        values: dict[str, set[str]] = {}
        for label in labels:
            name, _, value = label.partition("=")
            key = name.partition(":")[2]
            for known_as in (name, f"{ANY}:{key}"):
                values.setdefault(known_as, set()).add(value)
        self._values = values

    def values(self, key: str) -> set[str]:
        """What stands for a `source:key`; empty if there is no such label."""
        return self._values.get(key, set())


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition; the key is `source:key`, the source `any` for all."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: LabelSet) -> bool:
        found = labels.values(self.key)
        match self.operator:
            case Operator.IN:
                return not found.isdisjoint(self.values)
            case Operator.NOT_IN:
                return found.isdisjoint(self.values)
            case Operator.EXISTS:
                return bool(found)
            case Operator.DOES_NOT_EXIST:
                return not found

    def __str__(self) -> str:
        values = ",".join(self.values)
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={values}" if values else self.key
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({values})"
        return f"{self.key} {self.operator}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Conditions that must all hold. Without any it selects everyone."""

    requirements: tuple[Requirement, ...] = ()

    @property
    def selects_all(self) -> bool:
        return not self.requirements

    def matches(self, labels: LabelSet) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return " and ".join(map(str, self.requirements)) or "everyone"


def selector_key(text: str) -> str:
    """The `source:key` of a selector's key, which may leave the source out."""
    source, colon, key = text.partition(":")
    return text if colon and source and key else f"{ANY}:{text}"


def having(label: str) -> LabelSelector:
    """Who has this label, `source:key` without a value."""
    return LabelSelector((Requirement(label, Operator.IN, ("",)),))
