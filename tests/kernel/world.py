"""A node's pins in full: a map of every family, empty, of the kind and the sizes that a release gave it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cilium_py.bpf.map import BpfMap
from cilium_py.families import definitions
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.schema import Kind, Layout, Source

SCOPES = {"calls": "00042", "policy": "00042", "ct": "3", "nat": "3"}
SOURCES: list[tuple[str, Source[Any]]] = [
    (SCOPES.get(definition.command[0], ""), source)
    for definition in definitions()
    for source in (*definition.sources, *definition.scoped)
]
"""Every source, and what stands for the scope in its pin."""


def pin_every_map(directory: Path) -> None:
    for scope, source in SOURCES:
        made_like(source.layouts[0], directory / source.pin.format(scope))


def made_like(layout: Layout[Any], path: Path) -> None:
    """Pin an empty map of a layout."""
    made(MapType[layout.kind.value[0].upper()], layout.key.size, layout.value.size, path)


def made(type: MapType, key_size: int, value_size: int, path: Path) -> None:
    """Pin an empty map. Raises OSError for sizes that the kernel has no such map of."""
    flags = BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0
    inner = None
    if type.name.lower() in Kind.MAPS.value or type is MapType.ARRAY_OF_MAPS:
        inner = BpfMap.create(name="inner", type=MapType.ARRAY, key_size=4, value_size=12, max_entries=1)
    try:
        with BpfMap.create(
            name="made", type=type, key_size=key_size, value_size=value_size, max_entries=8, flags=flags, inner=inner
        ) as created:
            created.pin(path)
    finally:
        if inner is not None:
            inner.close()
