"""The BPF file system: where it is mounted, and what is pinned on it."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cilium_py.bpf.handle import kind_of_pin
from cilium_py.libbpf.checkers import failure

BPF_FS_MAGIC = 0xCAFE4A11
STATFS_ROOM = 256

Kind = Literal["map", "program", "link"]
_KINDS: dict[str, Kind] = {"bpf-map": "map", "bpf-prog": "program", "bpf_link": "link"}


class Pin(NamedTuple):
    """A pinned object. A kind that this library does not know is None, and so is one it may not open."""

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
    # struct statfs begins with f_type, a long everywhere but on s390, where it is an int.
    return ctypes.c_uint32.from_buffer(room).value == BPF_FS_MAGIC


def mount_bpffs(path: Path) -> None:
    """Mount a BPF file system there, for root alone; nothing happens if there is one already."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_bpffs(path) and path.is_mount():
        return
    if _libc().mount(b"bpf", os.fsencode(path), b"bpf", ctypes.c_ulong(0), b"mode=0700"):
        raise failure(ctypes.get_errno(), "mount bpffs", path)


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
                yield Pin(path, _KINDS.get(kind_of_pin(path) or ""))
            except FileNotFoundError:
                continue


def check_name(name: str) -> str:
    """Refuse what cannot be the name of one pin: bpffs takes no dots, and a slash would lead elsewhere."""
    if not name or len(os.fsencode(name)) > 255 or any(c in name for c in "./\0"):
        raise ValueError(f"{name!r} cannot be the name of a pin")
    return name
