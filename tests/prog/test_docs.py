"""docs/datapath.md names what the sources have: no option and no drop reason is missing from it."""

from __future__ import annotations

import re

from tests.prog.datapath import CHECKOUT

PAGE = (CHECKOUT / "docs/datapath.md").read_text()
LIBRARY = CHECKOUT / "bpf_src/lib"


def test_every_option_is_documented() -> None:
    declared = re.findall(r"DECLARE_CONFIG\([^,]+,\s*(\w+),", (LIBRARY / "config.h").read_text())[1:]
    listed = re.findall(r"^\| `(\w+)` \| (?:__|bool|v[46]addr|macaddr)", PAGE, re.MULTILINE)
    assert listed == declared


def test_every_drop_reason_is_documented() -> None:
    declared = re.findall(r"DROP_\w+ = -(\d+)", (LIBRARY / "drop_reasons.h").read_text())
    listed = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert listed == declared
