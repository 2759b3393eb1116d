"""Every successful call of the corpus, repeated with --compat: the same stdout, and the same done to the maps."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.golden.node import Outcome, cases, module, run

CORPUS = Path(os.environ.get("CILIUM_PY_SHARED", CHECKOUT.parent / "shared")) / "golden"

BPFFS = "/sys/fs/bpf"

NOT_FOLLOWED = {
    "vtep update --help": "help that is asked for is our own",
    "tunnel list": "cilium-dbg 1.18 knows it no more; we list the maps of older releases",
    "metrics list unpinned": "a list command creates no map",
    "metrics list other size": "a list command deletes no map",
    "vtep update IPv6": "cilium-dbg writes the entry of 0.0.0.0; we refuse",
    "policy list elsewhere": "cilium-dbg looks at /sys/fs/bpf only; we find the maps",
}


def deviation(case: dict[str, Any]) -> str | None:
    """Why we do otherwise on purpose, or None."""
    if "--help" in case["argv"]:
        return NOT_FOLLOWED["vtep update --help"]
    if case["argv"][1:2] == ["tunnel"]:
        return NOT_FOLLOWED["tunnel list"]
    if case["argv"][1:3] == ["metrics", "list"] and "after" in case:
        return NOT_FOLLOWED["metrics list other size" if case["maps"] else "metrics list unpinned"]
    if case["argv"][1:3] == ["vtep", "update"] and ":" in case["argv"][3]:
        return NOT_FOLLOWED["vtep update IPv6"]
    if case["argv"][1:3] == ["policy", "list"] and (case.get("env") or {}).get("bpffs", BPFFS) not in (BPFFS, None):
        return NOT_FOLLOWED["policy list elsewhere"]
    return None


def successful() -> list[Any]:
    if not CORPUS.is_dir():
        return []
    found = []
    for case in cases(CORPUS):
        argv = case["argv"]
        if case["exit_code"] == 0 and argv[0] == "bpf":
            stdout = (CORPUS / case["stdout"]).read_text() if case["stdout"] else ""
            if deviation(case) is None:
                found.append(pytest.param(case, stdout, id=" ".join(argv[1:]) + f" [{' '.join(case['maps'])}]"))
    return found


def normal(text: str) -> str:
    """Without the time of log lines, as the corpus was recorded."""
    return re.sub(r"^time=\S+", "time=<TIME>", text, flags=re.MULTILINE)


@pytest.mark.usefixtures("as_root", "shared")
@pytest.mark.parametrize(("case", "stdout"), successful())
def test_same_as_cilium_dbg(case: dict[str, Any], stdout: str) -> None:
    outcome = run(CORPUS, case["maps"], ["--compat", *case["argv"]], case.get("env"))
    compare = module(CORPUS / "golden_compare.py")
    if "stdout" not in case.get("unstable", ()):
        mode = "exact" if case["order_sensitive"] and case["compare"] != "mount" else case["compare"]
        assert compare.same(mode, stdout, normal(outcome.stdout)), difference(stdout, outcome)
    assert outcome.created == []
    assert outcome.changes == expected_changes(case)
    assert "Traceback" not in outcome.stderr


def expected_changes(case: dict[str, Any]) -> dict[str, tuple[list[str], list[list[Any]]]]:
    if "after" not in case:
        return {}
    after = json.loads((CORPUS / case["after"]).read_text())
    changes = {
        pin: (sorted(change["deleted"]), sorted([key, recorded_value(value)] for key, value in change["set"]))
        for pin, change in after.items()
    }
    return {pin: change for pin, change in changes.items() if change != ([], [])}


def recorded_value(value: Any) -> Any:
    """Like node.entries: of an inner map its sorted entries, of a per-CPU value the different ones."""
    if isinstance(value, dict):
        return sorted(map(list, value["entries"].items()))
    return sorted(set(value)) if isinstance(value, list) else value


def difference(recorded: str, outcome: Outcome) -> str:
    import difflib

    lines = difflib.unified_diff(
        sorted(recorded.splitlines()), sorted(normal(outcome.stdout).splitlines()), "recorded", "ours", n=0, lineterm=""
    )
    return "\n".join([*list(lines)[:40], f"stderr: {outcome.stderr}", f"exit code: {outcome.code}"])
