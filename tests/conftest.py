"""What every tier shares: the reference data beside the checkout, and what stands in for a person at CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.features import lacking
from tests.terminal import Terminal

CHECKOUT = Path(__file__).resolve().parent.parent

# A shell's background job ignores Ctrl-C, and one under nohup(1) that its terminal goes: so would every command that a
# test starts and ends in such a way.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data, where the developers have it: facts of the original, never copied into the project."""
    path = Path(os.environ.get("CILIUM_PY_SHARED", CHECKOUT.parent / "shared"))
    if not (path / "reference").is_dir():
        pytest.skip(f"no reference data at {path}: a user's clone does without")
    return path


@pytest.fixture(scope="session")
def as_root() -> None:
    """Skip a test that needs root; in CI, where root is promised, fail it."""
    if os.geteuid() != 0:
        lacking("root")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals (columns, lines, TERM), one at a time."""
    opened: list[Terminal] = []

    def open_terminal(columns: int = 80, lines: int = 24, term: str = "") -> Terminal:
        directory = tmp_path / str(len(opened))
        directory.mkdir()
        try:
            opened.append(Terminal(directory, columns, lines, term))
        except FileNotFoundError:
            lacking("tmux")
        opened[-1].shows("ready>")
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.tmux("kill-server")
