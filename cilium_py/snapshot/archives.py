"""The files of a directory, a tar or zip archive, or an archive within one: what sysdumps come as."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast
from zipfile import ZipFile

from .bounded import DAMAGE, Bounded
from .recording import BadRecording, shape_error
from .saved import member, open_zip

MOST_FILES, DEPTH = 200_000, 8
OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda raw: cast(BinaryIO, gzip.GzipFile(fileobj=raw)),
    b"BZ": lambda raw: cast(BinaryIO, bz2.BZ2File(raw)),
    b"\xfd7": lambda raw: cast(BinaryIO, lzma.LZMAFile(raw)),  # noqa: SIM115  closed with what it reads
}
"""How compressed data begins, and what reads it."""
ZIP = b"PK"


class Found(NamedTuple):
    """A regular file: its path, with slashes and never out of the archive, and a way to read it."""

    path: str
    open: Callable[[], Bounded]


def files(origin: Path, stack: ExitStack) -> Iterator[Found]:
    """Every regular file. What `open` needs stays open until the stack is closed."""
    if origin.is_dir():
        yield from _in_directory(origin)
        return
    with origin.open("rb") as file:
        start = file.read(2)
    if start == ZIP:
        yield from _in_zip(stack.enter_context(open_zip(origin)), origin, stack)
    else:
        yield from _in_tar(_plain(origin), origin, stack)


def _in_directory(origin: Path) -> Iterator[Found]:
    count = 0
    for parent, directories, names in os.walk(origin):
        directories.sort()
        if len(Path(parent).relative_to(origin).parts) >= DEPTH:
            directories.clear()
        for name in sorted(names):
            path = Path(parent, name)
            if stat.S_ISREG(path.lstat().st_mode):
                count += 1
                if count > MOST_FILES:
                    raise BadRecording(f"{origin}: more than {MOST_FILES} files")
                yield Found(path.relative_to(origin).as_posix(), _plain(path))


def _plain(path: Path) -> Callable[[], Bounded]:
    def opened() -> Bounded:
        raw = cast(BinaryIO, path.open("rb"))
        size = os.fstat(raw.fileno()).st_size
        start = raw.read(2)
        raw.seek(0)
        return Bounded(OPENERS[start](raw) if start in OPENERS else raw, size, path, raw)

    return opened


def _in_zip(archive: ZipFile, origin: Path, stack: ExitStack) -> Iterator[Found]:
    for info in archive.infolist():
        path = inside(info.filename)
        if path is None or info.is_dir():
            continue

        def opened(info: object = info) -> Bounded:
            return member(archive, info, origin)  # type: ignore[arg-type]  # bound early, and so without its type

        if path.endswith((".tar.gz", ".tgz", ".tar")):
            yield from _in_tar(_unpacked(opened), origin / path, stack, path)
        else:
            yield Found(path, opened)


def _unpacked(packed: Callable[[], Bounded]) -> Callable[[], Bounded]:
    """An archive in an archive: of gzip, the tar that is in it."""

    def opened() -> Bounded:
        stream = packed()
        start = stream.read(2)
        stream.seek(0)
        if start not in OPENERS:
            return stream
        return Bounded(OPENERS[start](cast(BinaryIO, stream)), stream.size, stream.path, cast(BinaryIO, stream))

    return opened


def _in_tar(opener: Callable[[], Bounded], origin: Path, stack: ExitStack, prefix: str = "") -> Iterator[Found]:
    try:
        packed = cast(BinaryIO, stack.enter_context(opener()))
        archive = stack.enter_context(tarfile.open(fileobj=packed, mode="r:"))  # noqa: SIM115  the stack closes it
        for count, info in enumerate(archive):
            if count > MOST_FILES:
                raise BadRecording(f"{origin}: more than {MOST_FILES} files")
            path = inside(info.name)
            if path is None or not info.isreg():
                continue
            yield Found(f"{prefix}/{path}" if prefix else path, _tar_member(archive, info, origin))
    except (tarfile.TarError, *DAMAGE) as error:
        raise shape_error(origin, str(error) or "no archive") from error


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, origin: Path) -> Callable[[], Bounded]:
    def opened() -> Bounded:
        stream = archive.extractfile(info)
        assert stream is not None
        return Bounded(cast(BinaryIO, stream), info.size, origin / info.name)

    return opened


def inside(name: str) -> str | None:
    """The path of an archive's file, simplified; None if it would lead out of the archive, or is too deep."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in (".", "/")]
    if not parts or ".." in parts or len(parts) > DEPTH + 4 or "\0" in name or len(name) > 4096:
        return None
    return "/".join(parts)
