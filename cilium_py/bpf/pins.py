"""The BPF file system: where one is mounted, what is pinned on it, and opening that."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cilium_py.libbpf import library
from cilium_py.libbpf.checkers import failure
from cilium_py.libbpf.constants import BPF_F_RDONLY
from cilium_py.libbpf.structs import bpf_obj_get_opts

BPF_FS_MAGIC = 0xCAFE4A11
STATFS_ROOM = 256

Kind = Literal["map", "program", "link"]
_KINDS: dict[str, Kind] = {"bpf-map": "map", "bpf-prog": "program", "bpf_link": "link", "bpf-link": "link"}


class Pin(NamedTuple):
    """A pinned object. The kind is None if it may not be opened, or is none that is known here."""

    path: Path
    kind: Kind | None


@functools.cache
def _libc() -> Any:  # foreign functions
    return ctypes.CDLL(None, use_errno=True)


def is_bpffs(path: Path) -> bool:
    """Whether an existing directory or file lies on a BPF file system."""
    room = ctypes.create_string_buffer(STATFS_ROOM)
    if _libc().statfs(os.fsencode(path), room):
        raise failure(ctypes.get_errno(), "statfs", path)
    # struct statfs begins with f_type, a long of which the magic fills the lower half; s390 has an int there.
    return ctypes.c_ulong.from_buffer(room).value & 0xFFFFFFFF == BPF_FS_MAGIC


def mount_bpffs(path: Path) -> None:
    """Mount a BPF file system there, for root alone; nothing happens if there is one already."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_bpffs(path) and path.is_mount():
        return
    if _libc().mount(b"bpf", os.fsencode(path), b"bpf", ctypes.c_ulong(0), b"mode=0700"):
        raise failure(ctypes.get_errno(), "mount bpffs", path)


def pin(fd: int, path: Path) -> None:
    try:
        library().bpf_obj_pin(fd, path)
    except PermissionError as error:
        raise _elsewhere(path.parent) or error from None


def pinned(path: Path, kind: Kind, flags: int = 0) -> int:
    """Open what is pinned at a path, which must be of that kind; return an fd that the caller owns."""
    try:
        fd: int = library().bpf_obj_get_opts(path, bpf_obj_get_opts(file_flags=flags))
    except PermissionError as error:
        raise _elsewhere(path) or error from None
    found = _kind(fd)
    if found != kind:
        os.close(fd)
        raise OSError(errno.EINVAL, f"pinned there is a {found}, not a {kind}", str(path))
    return fd


def kind_of(path: Path) -> Kind | None:
    """Tell what is pinned at a path; None if it may not be opened or is nothing of BPF."""
    for flags in (BPF_F_RDONLY, 0):  # a link cannot be opened for reading alone
        try:
            fd: int = library().bpf_obj_get_opts(path, bpf_obj_get_opts(file_flags=flags))
        except FileNotFoundError:
            raise
        except OSError:
            continue
        try:
            return _kind(fd)
        finally:
            os.close(fd)
    return None


def walk(root: Path) -> Iterator[Pin]:
    """Everything pinned below a directory, sorted, without following links. What vanishes meanwhile is left out."""
    try:
        found = sorted(os.scandir(root), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in found:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(path)
        elif entry.is_file(follow_symlinks=False):
            try:
                yield Pin(path, kind_of(path))
            except FileNotFoundError:
                continue


def _kind(fd: int) -> Kind | None:
    return _KINDS.get(str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix("anon_inode:").strip("[]"))


def _elsewhere(path: Path) -> OSError | None:
    """The kernel says "not permitted" of a path on any other file system; tell that from a lack of privilege."""
    try:
        here = is_bpffs(path)
    except OSError:
        return None
    return None if here else OSError(errno.EINVAL, "not on a BPF file system", str(path))
