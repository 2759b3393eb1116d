"""The C library's calls for namespaces and mounts, which Python 3.11 does not have."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.mount.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p,
    ]  # fmt: skip
    library.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
    library.setns.argtypes = [ctypes.c_int, ctypes.c_int]
    library.unshare.argtypes = [ctypes.c_int]
    library.if_nametoindex.argtypes = [ctypes.c_char_p]
    return library


def _check(result: int, operation: str, path: Path | str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{operation}: {os.strerror(number)}", str(path) if path is not None else None)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace that the fd stands for."""
    _check(_library().setns(fd, kind), "setns")


def unshare(kind: int) -> None:
    """Give the calling thread a namespace of its own."""
    _check(_library().unshare(kind), "unshare")


def if_nametoindex(name: str) -> int:
    """The index of an interface of the thread's namespace; 0 if there is none of that name."""
    return int(_library().if_nametoindex(name.encode()))


def mount(source: str, target: Path, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    result = _library().mount(
        source.encode(), os.fsencode(target), kind.encode() if kind else None, flags, options.encode()
    )
    _check(result, "mount", target)


def unmount(target: Path) -> None:
    """Take the mount out of the tree now; it ends when its last user is gone."""
    _check(_library().umount2(os.fsencode(target), MNT_DETACH), "umount", target)
