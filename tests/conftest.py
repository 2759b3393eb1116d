"""What every tier shares: the reference data beside the checkout, and what stands in for a person at CI."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"

# A shell's background job ignores Ctrl-C, and so would every command that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
        if IN_CI:
            pytest.fail("CI runs as root")
        pytest.skip("needs root")
