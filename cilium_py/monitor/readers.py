"""Who reads a node's events already. There is one place a CPU: a second reader silently takes it from the first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MAP_LINK, EVENT_LINK = "anon_inode:bpf-map", "anon_inode:[perf_event]"


class Reader(NamedTuple):
    pid: int
    name: str


def readers(map_id: int) -> Iterator[Reader]:
    """The other processes that have the map open and perf events at hand. Those hidden from us are not seen."""
    for directory in PROC.iterdir():
        if directory.name.isdecimal() and int(directory.name) != os.getpid():
            # It may end meanwhile, or not be ours to look at.
            with contextlib.suppress(OSError):
                if _reads(directory, map_id):
                    yield Reader(int(directory.name), (directory / "comm").read_text().strip())


def _reads(directory: Path, map_id: int) -> bool:
    maps: list[str] = []
    has_events = False
    for link in (directory / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(link)  # noqa: PTH115  # Path.readlink() is three times slower, and files are many
            if target == MAP_LINK:
                maps.append(link.name)
            elif target == EVENT_LINK:
                has_events = True
    return has_events and any(_map_id(directory / "fdinfo" / name) == map_id for name in maps)


def _map_id(path: Path) -> int:
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "map_id":
            return int(value)
    return 0
