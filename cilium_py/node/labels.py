"""Security labels: `source:key=value`, as Cilium writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cilium_py.errors import WrongUsage

DEFAULT_SOURCE = "container"

_LABEL = re.compile(r"(?:(?P<source>[a-z0-9][a-z0-9-]*):)?(?P<key>[A-Za-z0-9][\w./:-]*)(?:=(?P<value>[\w./:@ -]*))?")


def parse(text: str) -> str:
    """A label in full form; one without a source is of the workload's own."""
    match = _LABEL.fullmatch(text)
    if match is None or len(text) > 512:
        raise WrongUsage(f"{text!r}: not a label", hint="write key=value, or source:key=value")
    return f"{match['source'] or DEFAULT_SOURCE}:{match['key']}" + (f"={match['value']}" if match["value"] else "")


def canonical(labels: Iterable[str]) -> tuple[str, ...]:
    """A label set in the one order that two equal sets share; of two labels with a key, the last counts."""
    by_key = {_key(label): label for label in map(parse, labels)}
    return tuple(by_key[key] for key in sorted(by_key))


def _key(label: str) -> str:
    return label.partition("=")[0].partition(":")[2]
