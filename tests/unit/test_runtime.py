"""The agent's options and its clock."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.node import runtime
from cilium_py.node.runtime import Clock, RuntimeConfig


def test_without_an_agent_there_are_no_options(tmp_path: Path) -> None:
    assert runtime.read(tmp_path) is None


def test_options_that_are_not_there_have_the_agents_defaults(tmp_path: Path) -> None:
    (tmp_path / runtime.FILE).write_text("{}")
    assert runtime.read(tmp_path) == RuntimeConfig(True, True, Clock(0))


def test_options(tmp_path: Path) -> None:
    options = {"EnableIPv4": True, "EnableIPv6": False, "ClockSource": 1, "KernelHz": 250, "Other": "x"}
    (tmp_path / runtime.FILE).write_text(json.dumps(options))
    assert runtime.read(tmp_path) == RuntimeConfig(True, False, Clock(250))


@pytest.mark.parametrize("text", ["{not json", "[]", '{"EnableIPv4": "yes"}', '{"KernelHz": "250"}', "\x00", ""])
def test_options_that_make_no_sense_are_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / runtime.FILE).write_text(text)
    with pytest.raises(CiliumPyError, match=runtime.FILE):
        runtime.read(tmp_path)


def test_seconds_of_either_clock() -> None:
    assert Clock().seconds(935134) == 935134
    assert Clock().seconds((1 << 64) - 1) == -1
    assert Clock(250).seconds(935134) == 957577
    assert abs(Clock().now() - time.monotonic()) < 2


def test_jiffies_are_read_from_schedstat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SCHEDSTAT", tmp_path / "schedstat")
    with pytest.raises(CiliumPyError, match="schedstat"):
        Clock(250).now()
    (tmp_path / "schedstat").write_text("version 15\ntimestamp 4400000000\ncpu0 0 0\n")
    assert Clock(250).now() == 17_600_000
    (tmp_path / "schedstat").write_text("version 15\n")
    with pytest.raises(CiliumPyError, match="timestamp"):
        Clock(250).now()
