"""Maps by the names of their pins: of a directory on a bpf file system, or of a recording of one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cilium_py.bpf.map import BpfMap


class Pins(Protocol):
    """Where maps are opened by name. A recording has maps that can only be read."""

    def path(self, name: str) -> Path:
        """What messages call it."""

    def names(self) -> list[str]:
        """Everything that may be a map, by name. FileNotFoundError if there is no such place."""

    def open(self, name: str, *, read_only: bool = True) -> BpfMap:
        """Open a map, which the caller closes. FileNotFoundError if there is none of that name."""


class PinDirectory:
    """A directory on a bpf file system."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, name: str) -> Path:
        return self.directory / name

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir() if path.is_file())

    def open(self, name: str, *, read_only: bool = True) -> BpfMap:
        return BpfMap.open(self.directory / name, read_only=read_only)


def pins_of(where: Path | Pins) -> Pins:
    return PinDirectory(where) if isinstance(where, Path) else where
