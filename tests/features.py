"""Skips that prove themselves: a kernel that should have a feature and has not fails the test, as CI does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"


def lacking(what: str) -> NoReturn:
    """Skip a test that needs what this machine has not; fail it in CI, which is promised everything."""
    (pytest.fail if IN_CI else pytest.skip)(f"needs {what}")


class Feature(NamedTuple):
    """Something of the kernel, and its first release with it."""

    name: str
    since: str


def require(feature: Feature, probe: Callable[[], object]) -> None:
    """Skip the test where the probe ends in OSError; fail it if this kernel is new enough to know better."""
    if feature not in _refusals:
        _refusals[feature] = _refusal(probe)
    refusal = _refusals[feature]
    if refusal is None:
        return
    said = f"{feature.name} (in Linux since {feature.since}) is not here: {refusal}"
    if running_kernel() >= release(feature.since):
        pytest.fail(f"{said}, and this is Linux {os.uname().release}")
    pytest.skip(said)


_refusals: dict[Feature, OSError | None] = {}


def _refusal(probe: Callable[[], object]) -> OSError | None:
    try:
        probe()
    except OSError as error:
        return error
    return None


def release(text: str) -> tuple[int, int]:
    major, minor, *_ = text.replace("-", ".").split(".")
    return int(major), int(minor)


def running_kernel() -> tuple[int, int]:
    return release(os.uname().release)
