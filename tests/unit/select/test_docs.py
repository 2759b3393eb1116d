"""docs/selecting.md has every option, and its examples are understood."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from cilium_py.cli.select import SelectingCommand
from cilium_py.select.expression import parse
from cilium_py.select.options import OPTIONS
from tests.unit.cli.test_tree import command_at

PAGE = (Path(__file__).resolve().parents[3] / "docs/selecting.md").read_text()


def test_every_option_is_listed() -> None:
    listed = re.findall(r"^\| `(--[a-z-]+) (\S+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert listed == [(each.name, each.metavar, each.help) for each in OPTIONS]


EXAMPLES = [
    shlex.split(line.removeprefix("$ "))
    for line in PAGE.splitlines()
    if "--where '" in line and "cilium-py" in line and "sorce" not in line
]


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_examples_are_understood(words: list[str]) -> None:
    path = tuple(takewhile(lambda word: not word.startswith("-"), words[1:]))
    command, _ = command_at(path)
    assert isinstance(command, SelectingCommand)
    parse(words[words.index("--where") + 1], command.subject.fields())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5
