"""File descriptors with one owner, and what every kind of BPF object has: a pin, an info struct."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from cilium_py.bpf import pins
from cilium_py.libbpf import library

Info = TypeVar("Info", bound=ctypes.Structure)


class Handle:
    """Owns one file descriptor. Closing twice is harmless; using it after close is ValueError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def fd(self) -> int:
        if self._fd < 0:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._fd

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def pin(self, path: Path) -> None:
        """Pin at a path on a bpffs where nothing is yet; the parent directory exists."""
        pins.pin(self.fd, path)

    def repin(self, path: Path) -> None:
        """Pin in place of what is pinned there, if anything, without a moment in which nothing is."""
        temporary = path.with_name(f"{path.name}_{os.getpid()}_new")
        self.pin(temporary)
        try:
            temporary.rename(path)
        except OSError:
            temporary.unlink()
            raise


def ids(next_id: Callable[..., int]) -> Iterator[int]:
    """Every object of a kind in the kernel. Needs CAP_SYS_ADMIN."""
    found = ctypes.c_uint32(0)
    while True:
        try:
            next_id(found, ctypes.byref(found))
        except FileNotFoundError:
            return
        yield found.value


def info_of(fd: int, kind: type[Info]) -> Info:
    """Ask the kernel what it knows of the object behind fd. An older kernel leaves the newest fields zero."""
    info = kind()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length))
    return info
