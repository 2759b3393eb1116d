"""docs/selecting.md has every option, and its examples are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cilium_py.cli.bpf import definitions
from cilium_py.select.expression import parse
from cilium_py.select.fields import fields_of
from cilium_py.select.options import OPTIONS

PAGE = (Path(__file__).resolve().parents[3] / "docs/selecting.md").read_text()
FAMILIES = {definition.command: definition for definition in definitions()}


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
    family = FAMILIES[(words[2] if words[1] == "bpf" else words[1],)]
    parse(words[words.index("--where") + 1], fields_of(family.row, family.derived))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5
