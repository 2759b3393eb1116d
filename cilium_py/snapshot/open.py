"""Finding out what kind of recording a path is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from zipfile import is_zipfile

from cilium_py.errors import WrongUsage

from .dumped import Dump
from .manifest import MANIFEST
from .recording import Recording
from .saved import Snapshot, open_zip


def recording(path: Path) -> Recording:
    """Open a snapshot, a directory of dumps, or an archive of them. Raises WrongUsage or BadRecording.

    The path may go on inside an archive, to choose one of several nodes.
    """
    origin = existing(path)
    within = path.relative_to(origin).as_posix() if origin != path else ""
    if not origin.is_dir() and not origin.is_file():
        raise WrongUsage(f"{path}: neither a file nor a directory")
    if origin.is_dir() and within:
        raise WrongUsage(f"{path}: no such file or directory")
    if not within and origin.is_file() and is_zipfile(origin):
        with open_zip(origin) as archive:
            is_snapshot = MANIFEST in archive.namelist()
        if is_snapshot:
            return Snapshot(origin)
    return Dump(origin, within)


def existing(path: Path) -> Path:
    """The longest part of a path that is there."""
    for candidate in (path, *path.parents):
        with suppress(OSError, ValueError):
            candidate.lstat()
            return candidate
    raise WrongUsage(f"{path}: no such file or directory")
