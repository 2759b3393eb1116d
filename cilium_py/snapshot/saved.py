"""A snapshot, read: maps come out of the file one batch at a time."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

from cilium_py.bpf.batch import Batch
from cilium_py.bpf.map import BpfMap
from cilium_py.survey.model import Survey

from . import manifest, state
from .bounded import ALWAYS, DAMAGE, LIMITS, Bounded, parsed
from .manifest import COUNT, MANIFEST, Manifest, Shape
from .recording import BadRecording, RecordedMap, Recording, shape_error

ENCRYPTED = 1
MOST_MEMBERS = 200_000


class Snapshot(Recording):
    """A file that `snapshot save` wrote."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._archive = self.opened.enter_context(open_zip(path))
        try:
            self._members = {info.filename: info for info in self._archive.infolist()}
            self.manifest = self._read_manifest()
        except BaseException:
            self.close()
            raise
        self.monotonic = self.manifest.about.monotonic
        self.jiffies = self.manifest.about.jiffies
        self.wall = self.manifest.about.wall

    def names(self) -> list[str]:
        return sorted(self._shapes)

    def recorded(self, name: str) -> RecordedMap:
        if name not in self._shapes:
            raise self.missing(name)
        at, shape = self._shapes[name]
        return self._map(shape, f"maps/{at}")

    def survey(self) -> Survey:
        return self.manifest.survey

    def shape(self, name: str) -> Shape:
        return self._shapes[name][1]

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, Shape]]:
        return {shape.pin: (at, shape) for at, shape in enumerate(self.manifest.maps)}

    @cached_property
    def _inner(self) -> dict[int, Shape]:
        return {shape.id: shape for shape in self.manifest.inner}

    def extract_state(self) -> Path:
        """Put the files of the state directory into a private one, which goes when the snapshot is closed."""
        if self.state is None:
            self.state = Path(self.opened.enter_context(tempfile.TemporaryDirectory(prefix="cilium-py-")))
            state.put(self.state, self._state_files())
        return self.state

    def _state_files(self) -> Iterator[tuple[str, bytes]]:
        for name, info in self._members.items():
            inner = name.removeprefix("state/")
            if inner != name and info.file_size <= state.MOST_BYTES and state.is_safe(inner):
                with self._stream(info) as stream:
                    yield inner, stream.exactly(info.file_size)

    def _read_manifest(self) -> Manifest:
        info = self._members.get(MANIFEST)
        if info is None:
            raise BadRecording(f"{self.origin}: not a snapshot of cilium-py")
        return manifest.read(parsed(self._whole(info), self.origin), self.origin)

    def _whole(self, info: ZipInfo) -> bytes:
        if info.file_size > ALWAYS:
            raise shape_error(self.path(info.filename), f"{info.file_size} bytes")
        with self._stream(info) as stream:
            return stream.exactly(info.file_size)

    def _stream(self, info: ZipInfo) -> Bounded:
        return member(self._archive, info, self.origin)

    def _map(self, shape: Shape, name: str) -> RecordedMap:
        info = self._members.get(f"btf/{shape.btf_id}") if shape.btf_id else None
        btf = self._whole(info) if info is not None else None
        cpus = self.manifest.about.cpus
        found = RecordedMap(shape.info, cpus, self.path(shape.pin), lambda: batches(), btf, self._held)

        def batches() -> Iterator[Batch]:
            stored = self._members.get(name)
            if stored is None:
                if shape.entries:
                    raise shape_error(found_path, "its entries are missing")
                return
            with self._stream(stored) as stream:
                yield from stored_batches(stream, found, shape.entries or 0, found_path)

        found_path = self.origin / name
        return found

    def _held(self, map_id: int) -> BpfMap:
        shape = self._inner.get(map_id)
        if shape is None:
            raise FileNotFoundError(f"map {map_id} was not recorded")
        return self._map(shape, f"inner/{map_id}")


def stored_batches(stream: Bounded, shape: BpfMap, entries: int, path: Path) -> Iterator[Batch]:
    """The batches of a member, which must have just as many entries as the manifest says."""
    key, value = shape.key_size, shape.value_room
    left = entries
    while head := stream.read(COUNT.size):
        if len(head) < COUNT.size:
            head += stream.exactly(COUNT.size - len(head))
        (count,) = COUNT.unpack(head)
        if not 0 < count <= left:
            raise shape_error(path, f"a batch of {count} entries where {left} are left of {entries}")
        if count > 1 and count * (key + value) > LIMITS.batch:
            raise shape_error(path, f"a batch of {count} entries")
        keys = stream.exactly(count * key)
        yield Batch(memoryview(keys), memoryview(stream.exactly(count * value)), count)
        left -= count
    if left:
        raise shape_error(path, f"ends {left} entries early")


def open_zip(path: Path) -> ZipFile:
    """Raises BadRecording if it is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadRecording(f"{path}: not a regular file")
        archive = ZipFile(path)
    except (BadZipFile, LargeZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise shape_error(path, str(error)) from error
    if len(archive.filelist) > MOST_MEMBERS:
        archive.close()
        raise shape_error(path, f"{len(archive.filelist)} files in it")
    return archive


def member(archive: ZipFile, info: ZipInfo, origin: Path) -> Bounded:
    """A file of an archive, to be read with care."""
    path = origin / info.filename
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & ENCRYPTED:
        raise shape_error(path, "neither stored nor deflated")
    size = min(info.compress_size, origin.stat().st_size) if origin.exists() else info.compress_size
    try:
        stream = archive.open(info)
    except DAMAGE as error:
        raise shape_error(path, str(error)) from error
    return Bounded(cast(BinaryIO, stream), size, path)
