"""A directory or archive of `bpftool map dump` outputs, as cilium-bugtool collects them, in the place of pins.

Of a sysdump of several nodes, one is chosen by going on with its path: `sysdump.zip/cilium-bugtool-NAME`.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from cilium_py.bpf.batch import Batch
from cilium_py.bpf.map import MapInfo
from cilium_py.families import source_of
from cilium_py.libbpf.constants import MapType
from cilium_py.schema import Kind, Layout, Source

from . import state
from .archives import Found, files
from .bounded import LIMITS
from .dumps import Entry, entries
from .formatted import Unlike, chosen, encoded
from .recording import BadRecording, RecordedMap, Recording, shape_error

PIN = r"(?P<pin>cilium_[A-Za-z0-9_]{1,100})"
_DUMP = re.compile(rf"(?:.*-globals-)?{PIN}(?:\.(?:json|txt|md|dump))?")
_STATE = re.compile(r"(?:.*/)?(?:[^/]*-)?state/(?P<name>[^/]+(?:/[^/]+){0,2})")
_TOLD = re.compile(r".*(?P<what>debuginfo|endpoint-list|identity-list|node-list|policy-get)[^/]*\.(?:json|md|txt)")
"""Outputs of the agent that may be JSON."""
BATCH = 1024
MOST_TOLD = 32 << 20
"""Bytes of such an output."""


class Dump(Recording):
    """Dumps of maps, each a file that has the pin in its name."""

    def __init__(self, origin: Path, within: str = "") -> None:
        super().__init__(origin / within if within else origin)
        try:
            found = files(origin, self.opened)
            self._files, self._state_files, self._told = sorted_out(found, within, self.origin)
        except BaseException:
            self.close()
            raise

    def names(self) -> list[str]:
        return sorted(self._files)

    def recorded(self, name: str) -> RecordedMap:
        if name not in self._files:
            raise self.missing(name)
        return _Opening(self._files[name], name, self.origin / self._files[name].path).map()

    def extract_state(self) -> Path:
        """Put what the archive has of the state directory into a private one."""
        if self.state is None:
            self.state = Path(self.opened.enter_context(tempfile.TemporaryDirectory(prefix="cilium-py-")))
            state.put(self.state, ((name, _content(found)) for name, found in self._state_files))
        return self.state

    def told(self) -> Iterator[tuple[str, bytes]]:
        for what, found in self._told:
            data = _content(found, MOST_TOLD)
            if len(data) > MOST_TOLD:
                self.passed_over.append(f"{found.path}: larger than {MOST_TOLD >> 20} MiB")
            else:
                yield what, data


def sorted_out(
    found: Iterable[Found], within: str, origin: Path
) -> tuple[dict[str, Found], list[tuple[str, Found]], list[tuple[str, Found]]]:
    """(pin -> its dump, state files, outputs of the agent) of one node. Raises BadRecording if several, or none."""
    dumps: defaultdict[str, dict[str, Found]] = defaultdict(dict)
    kept, told = list[tuple[str, Found]](), list[tuple[str, Found]]()
    for file in found:
        if within and not file.path.startswith(f"{within}/"):
            continue
        path = PurePosixPath(file.path)
        if (match := _DUMP.fullmatch(path.name)) is not None:
            dumps[str(path.parent)][match["pin"]] = file
        elif (at := _STATE.fullmatch(file.path)) is not None and state.is_safe(at["name"]):
            kept.append((at["name"], file))
        elif (at := _TOLD.fullmatch(path.name)) is not None:
            told.append((at["what"], file))
    if not dumps and not told:
        raise BadRecording(
            f"{origin}: neither a snapshot nor dumps of maps",
            "`cilium-py snapshot save` makes one; bpftool -j map dump pinned PIN > cilium_NAME.json the other",
        )
    places = set(dumps) or {str(PurePosixPath(file.path).parent) for _, file in told}
    if len(places) > 1:
        known = " ".join(str(origin / parent) for parent in sorted(places)[:5])
        raise BadRecording(f"{origin}: dumps of {len(places)} nodes or moments", f"choose one: --from {known}")
    return next(iter(dumps.values()), {}), kept, told


def _content(found: Found, most: int = state.MOST_BYTES) -> bytes:
    """What a file says, as far as may be taken and one byte more."""
    with found.open() as stream:
        return stream.read(most + 1)


class _Opening:
    """A dump being understood: its first entry says of what shape the map was."""

    def __init__(self, found: Found, pin: str, path: Path) -> None:
        self.found, self.pin, self.path = found, pin, path
        self.source: Source[Any] | None = source_of(pin)
        self.layout: Layout[Any] | None = None

    def map(self) -> RecordedMap:
        with self.found.open() as stream:
            first = next(entries(stream), None)
        per_cpu, cpus = False, 1
        if first is not None:
            self.layout = self._layout(first)
            per_cpu, cpus = first.per_cpu, len(first.values)
        sizes = self._sizes(first)
        if max(sizes) > LIMITS.value or cpus > LIMITS.cpus:
            raise shape_error(self.path, f"entries of {sizes[0]} and {sizes[1]} bytes, {cpus} CPUs")
        made = RecordedMap(
            MapInfo(self._type(sizes, per_cpu), 0, *sizes, 0, 0, self.pin[:15], 0, 0, 0),
            cpus,
            self.path,
            lambda: batches(),
        )
        made.release = self.layout.release if self.layout is not None else None

        def batches() -> Iterator[Batch]:
            with self.found.open() as stream:
                packed = (self._packed(entry, made) for entry in entries(stream))
                while some := list(islice(packed, BATCH)):
                    keys, values = (b"".join(column) for column in zip(*some, strict=True))
                    yield Batch(memoryview(keys), memoryview(values), len(some))

        return made

    def _layout(self, first: Entry) -> Layout[Any] | None:
        """What the names of the fields say, where they are there."""
        if self.source is None:
            return None
        if first.formatted is not None:
            return chosen(self.source.layouts, *first.formatted)
        if isinstance(first.key, bytes):
            return None
        value = first.values[0]
        found = chosen(self.source.layouts, first.key, value)
        if found is None:
            raise BadRecording(f"{self.path}: fields of no layout that is known of {self.pin}")
        return found

    def _sizes(self, first: Entry | None) -> tuple[int, int]:
        if first is not None and isinstance(first.key, bytes) and isinstance(first.values[0], bytes):
            return len(first.key), len(first.values[0])
        layout = self.layout or (self.source.layouts[0] if self.source is not None else None)
        if layout is None:
            if first is None:
                return 0, 0
            raise BadRecording(f"{self.path}: {self.pin} is no map that is known, and was dumped without its bytes")
        return layout.key.size, layout.value.size

    def _type(self, sizes: tuple[int, int], per_cpu: bool) -> MapType:
        """What the layout says, unless the values are of each CPU, or of none, against that."""
        layouts = self.source.layouts if self.source is not None else ()
        of_size = (each.kind for each in layouts if (each.key.size, each.value.size) == sizes)
        kind = self.layout.kind if self.layout is not None else next(of_size, Kind.HASH)
        if per_cpu != kind.per_cpu:
            kind = Kind.PER_CPU_HASH if per_cpu else Kind.HASH
        return MapType[kind.value[0].upper()]

    def _packed(self, entry: Entry, shape: RecordedMap) -> tuple[bytes, bytes]:
        try:
            key = self._bytes(entry.key, shape.key_size, 0)
            values = [self._bytes(value, shape.info.value_size, 1) for value in entry.values]
        except Unlike as error:
            raise shape_error(self.path, str(error)) from error
        value = b"".join(each.ljust(shape.slot_room, b"\0") for each in values)
        if len(key) != shape.key_size or len(value) != shape.value_room:
            raise shape_error(self.path, f"an entry of {len(key)} and {len(value)} bytes among others")
        return key, value

    def _bytes(self, value: Any, size: int, which: int) -> bytes:
        if isinstance(value, bytes):
            return value
        if self.layout is None:
            raise Unlike("fields among bytes")
        struct = (self.layout.key, self.layout.value)[which]
        found = encoded(struct, value)
        if len(found) != size:
            raise Unlike(f"{len(found)} bytes where {size} belong")
        return found
