"""The place of a node's pins in a recording, and a recorded map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cilium_py.bpf import batch
from cilium_py.bpf.batch import Batch, Octets
from cilium_py.bpf.map import BpfMap, MapInfo
from cilium_py.errors import CiliumPyError, MapMissing
from cilium_py.libbpf.constants import MapType
from cilium_py.survey.model import Survey

TRIE_HEADER = 4
"""The prefix length that a key of an LPM trie begins with."""


class BadRecording(CiliumPyError):
    """The file is not what it is taken for, or is damaged."""


class RecordedMap(BpfMap):
    """A map as it was: everything that reads it works as on a live one, everything that would change it is refused."""

    def __init__(
        self,
        info: MapInfo,
        cpus: int,
        path: Path,
        read: Callable[[], Iterator[Batch]],
        btf: bytes | None = None,
        held: Callable[[int], BpfMap] | None = None,
    ) -> None:
        self._fd = -1
        self._path = path
        self._read = read
        self._btf = btf
        self._held = held
        self._take_shape(info, cpus)
        self._index: dict[bytes, bytes] | None = None

    @property
    def fd(self) -> int:
        raise CiliumPyError(f"{self._path}: a recording, of which nothing can be changed")

    def lookup(self, key: Octets, flags: int = 0) -> bytes | None:  # noqa: ARG002
        """Read a value as the kernel would have. The first call reads the whole map."""
        if self._index is None:
            self._index = dict(self.entries())
        if self.info.type == MapType.LPM_TRIE:
            return self._longest(bytes(key))
        return self._index.get(bytes(key))

    def batches(self, room: int = batch.ROOM) -> Iterator[Batch]:  # noqa: ARG002
        return self._read()

    def keys(self) -> Iterator[bytes]:
        return (key for key, _ in self.entries())

    def inner(self, key: Octets, read_only: bool = True) -> BpfMap | None:  # noqa: ARG002
        value = self.lookup(key)
        try:
            return None if value is None else self.held(int.from_bytes(value, "little"))
        except FileNotFoundError:
            return None

    def held(self, map_id: int) -> BpfMap:
        if self._held is None:
            raise FileNotFoundError(f"map {map_id} was not recorded")
        return self._held(map_id)

    def read_btf(self) -> bytes | None:
        return self._btf

    def _longest(self, key: bytes) -> bytes | None:
        assert self._index is not None
        wanted = int.from_bytes(key[:TRIE_HEADER], "little")
        address = int.from_bytes(key[TRIE_HEADER:], "big")
        width = 8 * (len(key) - TRIE_HEADER)
        for length in range(min(wanted, width), -1, -1):
            masked = address >> width - length << width - length
            found = self._index.get(length.to_bytes(TRIE_HEADER, "little") + masked.to_bytes(width // 8, "big"))
            if found is not None:
                return found
        return None


class Recording(ABC):
    """Maps by name, and what else was recorded with them. Close it, or use it in a with block."""

    origin: Path
    """The file or directory, as it was named."""
    monotonic: int | None = None
    """The seconds of CLOCK_MONOTONIC when it was made, and the jiffies; None where it does not say."""
    jiffies: int | None = None
    wall: float | None = None
    """The seconds since 1970 when it was made."""
    state: Path | None = None
    """A directory with the files of the node's state directory, for as long as the recording is open."""

    of_another = False
    """Whether the node was of another Cilium; then its state directory is made of what the recording says."""
    silent_of: Collection[str] = ()
    """Lists of which it then says nothing."""
    told_by_maps: Collection[str] = ()
    """Lists that then only repeat what its maps say."""

    def __init__(self, origin: Path) -> None:
        self.origin = origin
        self.opened = ExitStack()
        self.passed_over: list[str] = []
        """What was too large to be looked at, and why."""

    def path(self, name: str) -> Path:
        return self.origin / name

    @abstractmethod
    def names(self) -> list[str]:
        """The pins, by name."""

    @abstractmethod
    def recorded(self, name: str) -> RecordedMap:
        """The map of a pin. Raises `missing`."""

    def missing(self, name: str) -> MapMissing:
        return MapMissing(f"{self.path(name)}: not recorded", f"cilium-py snapshot list {self.origin} shows what is")

    def open(self, name: str, *, read_only: bool = True) -> BpfMap:
        if not read_only:
            raise CiliumPyError(f"{self.path(name)}: a recording, of which nothing can be changed")
        return self.recorded(name)

    @abstractmethod
    def extract_state(self) -> Path:
        """Put what there is of the state directory into a private one, which goes when the recording is closed."""

    def told(self) -> Iterator[tuple[str, bytes]]:
        """Outputs of another Cilium's agent: what was asked for, such as endpoint-list, and what came."""
        return iter(())

    def survey(self) -> Survey | None:
        """The programs and their attachments; None where they were not recorded."""
        return None

    def close(self) -> None:
        self.opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def shape_error(path: Path, what: str) -> BadRecording:
    return BadRecording(f"{path}: {what}", "the file is damaged, or not what it is taken for")
