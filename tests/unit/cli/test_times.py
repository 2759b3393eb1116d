"""Options that are times, and what `health run` makes of its options."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from cilium_py.cli.main import cilium_py, run


def call(*words: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(lambda: cilium_py.main(list(words), prog_name="cilium-py", standalone_mode=False))
    out.seek(0)
    return code, out.read(), err.getvalue()


@pytest.mark.parametrize("text", ["0", "-1s", "nan", "inf", "1x", "", "1e9", "25h", "9" * 400, "١s"])
@pytest.mark.parametrize(
    "words",
    [
        ("health", "status", "--probe", "--timeout"),
        ("health", "status", "--watch", "--every"),
        ("health", "run", "--print-unit", "--refresh"),
        ("health", "run", "--print-unit", "--base-interval"),
        ("monitor", "--timeout"),
    ],
    ids=" ".join,
)
def test_times_that_make_no_sense_are_refused(words: tuple[str, ...], text: str) -> None:
    code, _, said = call(*words, text)
    assert code == 2
    assert said.startswith("error: ")


@pytest.mark.parametrize("ratio", ["nan", "-0.1", "1.1", "inf"])
def test_ratio(ratio: str) -> None:
    assert call("health", "run", "--print-unit", "--ratio", ratio)[0] == 2


def test_a_unit_has_the_options_of_the_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service starts in another directory than the one in which its unit was printed."""
    monkeypatch.chdir(tmp_path)
    code, unit, _ = call("health", "run", "--print-unit", "--deadline", "1m30s", "--socket", "api.sock", "--no-serve")
    assert code == 0
    assert f" health run --deadline 90.0 --socket {tmp_path}/api.sock --no-serve\n" in unit
