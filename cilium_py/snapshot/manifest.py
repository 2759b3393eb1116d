"""What a snapshot says of itself: a zip file whose manifest.json lists the rest.

    manifest.json       this
    maps/N              entries of the map N of its list: how many (4 bytes, little-endian), their keys, their values;
                        again, to the end
    inner/ID            likewise, of a map that a map of maps holds
    btf/ID              the BTF that maps refer to
    state/PATH          files of the node's state directory

Every member is stored or deflated. A reader of version 1 ignores what it does not know, and refuses another version.
"""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from cilium_py.bpf.map import MapInfo
from cilium_py.survey.model import (
    Attachment,
    DeviceFacts,
    EndpointFacts,
    LinkPin,
    MapFacts,
    MapPin,
    ProgramFacts,
    Survey,
)

from .bounded import LIMITS, object_of, several, typed
from .recording import BadRecording, shape_error

FORMAT, VERSION = "cilium-py snapshot", 1
MANIFEST = "manifest.json"
COUNT = struct.Struct("<I")


class Shape(NamedTuple):
    """A map, and how many of its entries were saved; None for one of a type that has none to read."""

    pin: str
    """Empty for an inner map."""
    id: int
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str
    btf_id: int
    btf_key_type_id: int
    btf_value_type_id: int
    entries: int | None
    complete: bool = True
    """False if the map changed so much while it was read that the kernel could not promise every entry."""

    @classmethod
    def of(cls, pin: str, info: MapInfo, entries: int | None, complete: bool = True) -> Shape:
        return cls(
            pin, info.id, info.type, info.key_size, info.value_size, info.max_entries, info.flags, info.name,
            info.btf_id, info.btf_key_type_id, info.btf_value_type_id, entries, complete,
        )  # fmt: skip

    @property
    def info(self) -> MapInfo:
        return MapInfo(
            self.type, self.id, self.key_size, self.value_size, self.max_entries, self.flags, self.name, self.btf_id,
            self.btf_key_type_id, self.btf_value_type_id,
        )  # fmt: skip


class About(NamedTuple):
    """When and where a snapshot was made."""

    taken: str
    """RFC 3339."""
    host: str
    kernel: str
    release: str
    """Of cilium-py."""
    bpf_root: str
    state_dir: str
    cpus: int
    monotonic: int
    """Seconds."""
    jiffies: int | None = None

    @property
    def wall(self) -> float | None:
        """Seconds since 1970."""
        try:
            return datetime.fromisoformat(self.taken).timestamp()
        except (ValueError, OverflowError):
            return None


class Manifest(NamedTuple):
    about: About
    maps: list[Shape]
    inner: list[Shape]
    survey: Survey

    def document(self) -> dict[str, Any]:  # what json writes
        return {
            "format": FORMAT,
            "version": VERSION,
            "about": self.about._asdict(),
            "maps": [shape._asdict() for shape in self.maps],
            "inner": [shape._asdict() for shape in self.inner],
            "survey": {
                name: [item if isinstance(item, str) else item._asdict() for item in part]
                for name, part in self.survey._asdict().items()
            },
        }


def read(value: Any, path: Path) -> Manifest:
    """The manifest of a JSON document, checked. Raises BadRecording."""
    document = object_of(value, path)
    if document.get("format") != FORMAT:
        raise BadRecording(f"{path}: not a snapshot of cilium-py")
    if document.get("version") != VERSION:
        raise BadRecording(
            f"{path}: snapshot version {str(document.get('version'))[:20]}, this cilium-py reads {VERSION}",
            "a newer cilium-py made it",
        )
    about = typed(document.get("about"), About, path)
    maps, inner = (several(document.get(name), Shape, path) for name in ("maps", "inner"))
    if not 0 < about.cpus <= LIMITS.cpus:
        raise shape_error(path, f"{about.cpus} CPUs")
    for shape in (*maps, *inner):
        _check(shape, about.cpus, path)
    return Manifest(about, maps, inner, _survey(object_of(document.get("survey"), path), path))


def _check(shape: Shape, cpus: int, path: Path) -> None:
    room = (shape.value_size + 7) * cpus + shape.key_size
    if shape.key_size > LIMITS.key or shape.value_size > LIMITS.value or room > LIMITS.entry:
        raise shape_error(path, f"{shape.pin[:60]!r}: entries of {shape.key_size} and {shape.value_size} bytes")
    if shape.entries and not shape.key_size + shape.value_size:
        raise shape_error(path, f"{shape.pin[:60]!r}: entries of no bytes")
    if len(shape.pin) > 255 or "/" in shape.pin or "\0" in shape.pin:
        raise shape_error(path, "a pin with an impossible name")


def _survey(found: dict[str, Any], path: Path) -> Survey:
    unseen = found.get("unseen")
    return Survey(
        several(found.get("programs"), ProgramFacts, path),
        several(found.get("maps"), MapFacts, path),
        several(found.get("attachments"), Attachment, path),
        several(found.get("links"), LinkPin, path),
        several(found.get("pins"), MapPin, path),
        several(found.get("endpoints"), EndpointFacts, path),
        several(found.get("devices"), DeviceFacts, path),
        [str(item)[:300] for item in unseen] if isinstance(unseen, list) else [],
    )
