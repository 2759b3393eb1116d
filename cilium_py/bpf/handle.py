"""File descriptors with one owner, and what every kind of BPF object has: a pin, an id, an info struct."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from cilium_py.libbpf import library
from cilium_py.libbpf.checkers import failure
from cilium_py.libbpf.constants import BPF_F_RDONLY
from cilium_py.libbpf.structs import bpf_obj_get_opts

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
        library().bpf_obj_pin(self.fd, path)

    def repin(self, path: Path) -> None:
        """Pin in place of what is pinned there, if anything, without a moment in which nothing is."""
        temporary = path.with_name(f"{path.name}_{os.getpid()}_new")
        self.pin(temporary)
        try:
            temporary.rename(path)
        except OSError:
            temporary.unlink()
            raise


def pinned(path: Path, kind: str, flags: int = 0) -> int:
    """Open what is pinned at a path, which must be of that kind: bpf-map, bpf-prog or bpf_link."""
    fd: int = library().bpf_obj_get_opts(path, bpf_obj_get_opts(file_flags=flags))
    found = _kind(fd)
    if found != kind:
        os.close(fd)
        raise failure(errno.EINVAL, f"pinned there is a {found}, not a {kind}", path)
    return fd


def kind_of_pin(path: Path) -> str | None:
    """Tell what is pinned at a path; None if it may not be opened or is nothing of BPF."""
    for flags in (BPF_F_RDONLY, 0):  # a link cannot be opened for reading alone
        try:
            fd: int = library().bpf_obj_get_opts(path, bpf_obj_get_opts(file_flags=flags))
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise
            continue
        try:
            return _kind(fd)
        finally:
            os.close(fd)
    return None


def _kind(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix("anon_inode:").strip("[]")


def info_of(fd: int, kind: type[Info]) -> Info:
    """Ask the kernel what it knows of the object behind fd. An older kernel leaves the newest fields zero."""
    info = kind()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length))
    return info
