"""The maps of our own programs, opened by who knows their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cilium_py.bpf.map import BpfMap
from cilium_py.errors import LayoutMismatch
from cilium_py.schema import Layout


def own_map(layout: Layout[Any], path: Path, *, read_only: bool = True) -> BpfMap:
    """Open a pinned map. Raises FileNotFoundError, or LayoutMismatch for one of another type or size."""
    opened = BpfMap.open(path, read_only)
    info = opened.info
    if info.type_name in layout.kind.value and (info.key_size, info.value_size) == (layout.key.size, layout.value.size):
        return opened
    opened.close()
    raise LayoutMismatch(
        f"{path}: a {info.type_name} of {info.key_size}/{info.value_size} bytes, not the {layout.kind} of"
        f" {layout.key.size}/{layout.value.size} that our programs use"
    )
