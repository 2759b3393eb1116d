"""Snapshots made by hand, good ones and bad ones."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cilium_py.libbpf.constants import MapType
from cilium_py.snapshot.manifest import COUNT, About, Manifest, Shape
from cilium_py.survey.model import Survey

ABOUT = About("2026-11-23T10:00:00Z", "host", "6.12.1", "0.1.0", "/sys/fs/bpf", "/var/run/cilium/state", 2, 5000, None)
NOTHING = Survey([], [], [], [], [], [], [], [])
Entries = list[tuple[bytes, bytes]]
ENDPOINTS: Entries = [
    (bytes([10, 0, 0, n]) + bytes(12) + b"\x01" + bytes(3), bytes([n]) + bytes(5) + bytes([n, 0]) + bytes(40))
    for n in range(1, 6)
]
"""Of cilium_lxc: 10.0.0.n of endpoint n."""


def shape(pin: str, entries: Entries, **changes: Any) -> Shape:
    key, value = (len(part) for part in entries[0])
    made = Shape(pin, 7, MapType.HASH, key, value, 65535, 1, pin[:15], 0, 0, 0, len(entries))
    return made._replace(**changes)


def packed(entries: Entries, batch: int = 2) -> bytes:
    """Entries as a snapshot stores them."""
    parts = []
    for start in range(0, len(entries), batch):
        some = entries[start : start + batch]
        parts += [COUNT.pack(len(some)), *(key for key, _ in some), *(value for _, value in some)]
    return b"".join(parts)


def write(
    path: Path,
    maps: Mapping[str, Entries],
    members: Mapping[str, bytes] | None = None,
    amend: Callable[[dict[str, Any]], None] = lambda _: None,
    shapes: list[Shape] | None = None,
) -> Path:
    """A snapshot; `members` adds or replaces files of it, `amend` changes its manifest."""
    known = shapes if shapes is not None else [shape(pin, entries) for pin, entries in maps.items()]
    document = Manifest(ABOUT, known, [], NOTHING).document()
    amend(document)
    files = {f"maps/{at}": packed(entries) for at, entries in enumerate(maps.values())}
    files |= {"manifest.json": json.dumps(document).encode()} | dict(members or {})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
