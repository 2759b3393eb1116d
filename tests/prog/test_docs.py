"""docs/datapath.md names what the sources have: no option and no drop reason is missing from it."""

from __future__ import annotations

import re

from tests.prog.datapath import CHECKOUT

PAGE = (CHECKOUT / "docs/datapath.md").read_text()
LIBRARY = CHECKOUT / "bpf_src/lib"


DECLARED = re.findall(r"DECLARE_CONFIG\([^,]+,\s*(\w+),", (LIBRARY / "config.h").read_text())[1:]


def test_every_option_is_documented() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (?:__|bool|v[46]addr|macaddr)", PAGE, re.MULTILINE)
    assert listed == DECLARED


def test_every_option_is_used() -> None:
    sources = [path for path in LIBRARY.parent.rglob("*.[ch]") if path.name != "config.h"]
    words = {word for path in sources for word in re.findall(r"\w+", path.read_text())}
    assert [option for option in DECLARED if option not in words] == []


def test_every_drop_reason_is_documented() -> None:
    declared = re.findall(r"DROP_\w+ = -(\d+)", (LIBRARY / "drop_reasons.h").read_text())
    listed = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert listed == declared
