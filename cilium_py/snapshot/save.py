"""Saving a node: every pinned map, the BTF, the programs and their attachments, the files of the state directory."""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cilium_py import __version__
from cilium_py.bpf.batch import Batch
from cilium_py.bpf.directory import PinDirectory
from cilium_py.bpf.map import BpfMap
from cilium_py.errors import CiliumPyError, MapMissing, Partial, WrongUsage, naming
from cilium_py.libbpf.constants import MapType
from cilium_py.libbpf.library import possible_cpus
from cilium_py.paths import NodePaths
from cilium_py.survey.model import Survey
from cilium_py.table import explained

from .manifest import COUNT, MANIFEST, About, Manifest, Shape
from .state import gather

READABLE = frozenset({
    MapType.HASH, MapType.ARRAY, MapType.PROG_ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH,
    MapType.LRU_PERCPU_HASH, MapType.LPM_TRIE, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS,
})  # fmt: skip
OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
LEVEL = 3
"""Of compression: higher ones were measured to gain a tenth and to cost three times the time."""
CHUNK = 1 << 22
"""Bytes a batch, at most, unless one entry is larger."""


def save(
    target: Path, paths: NodePaths, survey: Survey, beside: Mapping[str, Path | bytes], jiffies: int | None = None, *,
    replace: bool = False,
) -> Manifest:  # fmt: skip
    """Write a snapshot, private to its owner; it appears when it is whole. Raises WrongUsage if something is there.

    `beside` is state that the node does not keep in its directory: a path there, and the file, or what it would say.
    """
    _check(target, replace)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with naming(target), os.fdopen(descriptor, "w+b") as file:
            manifest = _write(file, paths, survey, beside, jiffies)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return manifest


def _check(target: Path, replace: bool) -> None:
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        if not target.parent.exists():
            raise CiliumPyError(f"{target.parent}: no such directory") from None
        return
    if not stat.S_ISREG(mode):
        raise WrongUsage(f"{target}: there is something that is no file")
    if not replace:
        raise WrongUsage(f"{target}: exists already", "--force replaces it")


def _write(
    file: BinaryIO, paths: NodePaths, survey: Survey, beside: Mapping[str, Path | bytes], jiffies: int | None
) -> Manifest:
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        maps, inner, btf = list[Shape](), dict[int, Shape](), dict[int, bytes]()
        for name, opened in _pinned(paths.globals):
            with opened:
                maps.append(_save_map(archive, f"maps/{len(maps)}", name, opened, btf))
                if opened.info.type in OF_MAPS:
                    _save_inner(archive, opened, inner, btf)
        for btf_id, data in btf.items():
            archive.writestr(_member(f"btf/{btf_id}"), data)
        for name, text in gather(paths.state_dir, beside, survey.unseen):
            archive.writestr(_member(f"state/{name}"), text)
        manifest = Manifest(_about(paths, jiffies), maps, list(inner.values()), survey)
        archive.writestr(_member(MANIFEST), json.dumps(manifest.document(), indent=1))
    return manifest


def _pinned(directory: Path) -> Iterator[tuple[str, BpfMap]]:
    pins = PinDirectory(directory)
    try:
        names = pins.names()
    except FileNotFoundError as error:
        raise MapMissing(f"{directory}: no maps are pinned", "is Cilium running here?") from error
    except OSError as error:
        raise explained(error, directory) from error
    for name in names:
        try:
            yield name, pins.open(name)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise explained(error, pins.path(name)) from error


def _save_map(archive: ZipFile, member: str, pin: str, opened: BpfMap, btf: dict[int, bytes]) -> Shape:
    info = opened.info
    if info.btf_id and info.btf_id not in btf:
        with suppress(OSError):
            btf[info.btf_id] = opened.read_btf() or b""
    if info.type not in READABLE:
        return Shape.of(pin, info, None)
    count, complete = 0, True
    with archive.open(_member(member), "w", force_zip64=True) as stream:
        try:
            for some in opened.batches():
                for part in parts(some, opened):
                    stream.write(part)
                count += some.count
        except Partial:
            complete = False
        except OSError as error:
            raise CiliumPyError(f"{pin}: {error.strerror}") from error
    return Shape.of(pin, info, count, complete)


def parts(some: Batch, opened: BpfMap) -> Iterator[bytes]:
    """A batch as it is stored, in pieces that a reader takes."""
    key, value = opened.key_size, opened.value_room
    step = max(1, CHUNK // max(key + value, 1))
    for start in range(0, some.count, step):
        stop = min(start + step, some.count)
        yield COUNT.pack(stop - start)
        yield bytes(some.keys[start * key : stop * key])
        yield bytes(some.values[start * value : stop * value])


def _save_inner(archive: ZipFile, outer: BpfMap, inner: dict[int, Shape], btf: dict[int, bytes]) -> None:
    for _, value in outer.entries():
        (map_id,) = struct.unpack("<I", value)
        if not map_id or map_id in inner:
            continue
        with suppress(FileNotFoundError), outer.held(map_id) as held:
            inner[map_id] = _save_map(archive, f"inner/{map_id}", "", held, btf)


def _member(name: str) -> ZipInfo:
    found = ZipInfo(name, time.gmtime()[:6])
    found.compress_type = ZIP_DEFLATED
    found.external_attr = 0o600 << 16
    return found


def _about(paths: NodePaths, jiffies: int | None) -> About:
    return About(
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), platform.node(), platform.release(),
        __version__, str(paths.bpf_root), str(paths.state_dir), possible_cpus(), int(time.monotonic()), jiffies,
    )  # fmt: skip
