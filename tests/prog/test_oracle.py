"""Our programs against the recorded behaviour of the original's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ORACLE = Path(__file__).with_name("oracle.py")


@pytest.mark.usefixtures("as_root")
def test_every_recorded_case_is_equal(shared: Path) -> None:
    """Or differs on purpose, as oracle_exemptions.json says."""
    result = subprocess.run([sys.executable, ORACLE, shared / "datapath"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    equal, _, total, *_ = result.stdout.splitlines()[-1].split()
    assert equal == total
    assert int(total) >= 697


@pytest.mark.usefixtures("as_root")
def test_a_difference_is_noticed(shared: Path, tmp_path: Path) -> None:
    """A recording that was tampered with is not equal."""
    (tmp_path / "setup.json").write_text((shared / "datapath/setup.json").read_text())
    cases = (shared / "datapath/cases.json").read_text()
    (tmp_path / "cases.json").write_text(cases.replace('"ret":7', '"ret":0'))
    result = subprocess.run(
        [sys.executable, ORACLE, tmp_path, "--case", "v4_tcp_syn_l3l4_allow"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "ret: expected 0, got 7" in result.stdout
    assert result.stdout.splitlines()[-1] == "0 of 2 cases equal"


@pytest.mark.usefixtures("as_root")
def test_a_map_that_the_programs_have_not_is_said(shared: Path, tmp_path: Path) -> None:
    """The cases that change it differ; the others are compared all the same."""
    setup = json.loads((shared / "datapath/setup.json").read_text())
    setup["maps"]["cilium_other"] = {"entries": [["00", "00"]]}
    (tmp_path / "setup.json").write_text(json.dumps(setup))
    cases = {
        case["name"]: case
        for case in json.loads((shared / "datapath/cases.json").read_text())["cases"]
        if case["variant"] == "hr"
    }
    plain, changed = cases["v4_tcp_syn_l3l4_allow"], cases["v6_tcp_syn_l3l4_allow"]
    changed["steps"][0]["in"]["set_before"] = [{"map": "cilium_other", "key": "00", "value": "01"}]
    (tmp_path / "cases.json").write_text(json.dumps({"cases": [plain, changed]}))
    result = subprocess.run([sys.executable, ORACLE, tmp_path], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, "1 of 2 cases equal")
    assert "set_before: expected cilium_other, got no such map" in result.stdout
    assert result.stderr == "note: the programs have no map cilium_other; left out: 1\n"


BROKEN: dict[str, tuple[str | None, str]] = {
    "no file": (None, "cases.json: No such file or directory"),
    "no JSON": ("{", "cases.json: not a recording: "),
    "another document": ("[]", "cases.json: not a recording: "),
    "a variant that setup.json has not": ('{"cases": [{"name": "x", "variant": "y"}]}', "case x: no variant y"),
    "a step without a packet": ('{"cases": [{"name": "x", "variant": "hr", "steps": [{}]}]}', "case x: no 'in'"),
    "no cases": ('{"cases": []}', "no case *"),
}


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(("cases", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_an_error_of_one_line(shared: Path, tmp_path: Path, cases: str | None, said: str) -> None:
    (tmp_path / "setup.json").write_text((shared / "datapath/setup.json").read_text())
    if cases is not None:
        (tmp_path / "cases.json").write_text(cases)
    result = subprocess.run([sys.executable, ORACLE, tmp_path], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
