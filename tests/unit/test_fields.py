"""Field tables of the pages beside docs/scripting.md: `python -m tests.unit.test_fields` writes them anew."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import pytest

from cilium_py.cli.health import Summary
from cilium_py.cli.health_rows import PathRow
from cilium_py.cli.identity import IdentityRow
from cilium_py.cli.node import NodeRow
from cilium_py.cli.rules import RuleRow, SelectorRow
from cilium_py.cli.snapshot import Row as SavedMap
from cilium_py.endpoint.view import EndpointRow
from cilium_py.explain.attach import Attached, Finding
from cilium_py.explain.cost import Cost
from cilium_py.explain.flows import Flow
from cilium_py.explain.nat import PortUse, Problem, TableHealth
from cilium_py.lab.survey import Part
from cilium_py.snapshot.diff import Change, Count
from tests.unit.test_reference import DOCS, docstrings, kind

ROWS: dict[str, dict[str, type[Any]]] = {
    "endpoints.md": {"endpoint list": EndpointRow},
    "policy.md": {"policy list": RuleRow, "policy selectors": SelectorRow, "identity list": IdentityRow},
    "health.md": {"health status": PathRow, "health history": Summary, "node list": NodeRow},
    "lab.md": {"lab status": Part},
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
    assert (DOCS / page).read_text() == renewed(page), "run: python -m tests.unit.test_fields"


if __name__ == "__main__":
    for name in ROWS:
        (DOCS / name).write_text(renewed(name))
