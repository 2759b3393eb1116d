"""`snapshot diff`: what has changed of a node beside its maps: endpoints, identities, nodes, rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cilium_py.cli.context import Settings
from cilium_py.cli.rows import Listed
from cilium_py.errors import CiliumPyError
from cilium_py.render.tabular import text_lines
from cilium_py.render.values import as_object
from cilium_py.select.changes import row_changes
from cilium_py.snapshot.diff import Change, Count

KINDS = {"new": "added", "gone": "removed", "changed": "changed"}


class Sides(NamedTuple):
    """The rows of a list by their key, before and after."""

    name: str
    listed: Listed
    before: Mapping[Any, Any]
    after: Mapping[Any, Any]


def sides(before: Settings, after: Settings) -> Iterator[Sides]:
    """The lists that both sides have."""
    from cilium_py.cli import endpoint_show, identity, node, rules

    lists = {"endpoints": endpoint_show, "identities": identity, "nodes": node, "rules": rules}
    for name, module in lists.items():
        first, second = (_rows(name, module.LISTED, side) for side in (before, after))
        if first is not None and second is not None:
            yield Sides(name, module.LISTED, first, second)


def _rows(name: str, listed: Listed, where: Settings) -> Mapping[Any, Any] | None:
    """None where there is no such list, or none that says more than the maps."""
    recording = where.recording
    if recording is not None and name in {*recording.silent_of, *recording.told_by_maps}:
        return None
    try:
        return listed.by_key(where)
    except CiliumPyError:
        return None


def changes(found: Sides) -> Iterator[Change]:
    key = found.listed.key
    for change in row_changes(found.before, found.after):
        row = as_object(change.row)
        before = {**row, **as_object(change.row._replace(**change.before))} if change.before else row
        *_, text = text_lines(found.listed.text, [change.row])
        kind = KINDS[change.event]
        yield Change(
            found.name, kind, " ".join(text.split()), " ".join(str(row[name]) for name in key), list(change.before),
            None if kind == "added" else before, None if kind == "removed" else row,
        )  # fmt: skip


def count(found: Sides) -> Count:
    kinds = Counter(change.event for change in row_changes(found.before, found.after))
    sizes = len(found.before), len(found.after)
    return Count(found.name, *sizes, kinds["new"], kinds["gone"], kinds["changed"])
