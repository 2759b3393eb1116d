"""Field tables of docs/offline.md and docs/explain.md: `python -m tests.unit.explain.test_docs` writes them anew."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import pytest

from cilium_py.cli.snapshot import Row as SavedMap
from cilium_py.explain.attach import Attached, Finding
from cilium_py.explain.cost import Cost
from cilium_py.explain.flows import Flow
from cilium_py.explain.nat import PortUse, Problem, TableHealth
from cilium_py.snapshot.diff import Change, Count
from tests.unit.test_reference import DOCS, docstrings, kind

ROWS: dict[str, dict[str, type[Any]]] = {
    "offline.md": {"snapshot list": SavedMap, "snapshot diff": Change, "snapshot diff --count": Count},
    "explain.md": {
        "flow list": Flow, "nat doctor, tables": TableHealth, "nat doctor, problems": Problem,
        "nat doctor, ports": PortUse, "doctor attach, attachments": Attached, "doctor attach, findings": Finding,
        "bpf stats report": Cost,
    },
}  # fmt: skip


def renewed(page: str) -> str:
    parts = []
    for command, row in ROWS[page].items():
        hints, remarks = get_type_hints(row, include_extras=True), docstrings(row)
        lines = [f"### `{command}`", "", "| field | type | |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind(hints[name])} | {remarks.get(name, '')} |" for name in row._fields]  # type: ignore[attr-defined]
        parts.append("\n".join(lines))
    text = (DOCS / page).read_text()
    tables = "<!-- fields -->\n" + "\n\n".join(parts) + "\n<!-- /fields -->"
    return re.sub("<!-- fields -->\n.*<!-- /fields -->", lambda _: tables, text, flags=re.DOTALL)


@pytest.mark.parametrize("page", ROWS)
def test_fields_are_up_to_date(page: str) -> None:
    assert (DOCS / page).read_text() == renewed(page), "run: python -m tests.unit.explain.test_docs"


if __name__ == "__main__":
    for name in ROWS:
        (DOCS / name).write_text(renewed(name))
