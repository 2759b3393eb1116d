"""A map definition and the pins of a node -> rows: choose the layout, read, decode."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cilium_py.errors import CiliumPyError, LayoutMismatch, MapMissing, NotPermitted, Partial, WrongUsage
from cilium_py.render.spool import arranged
from cilium_py.schema import InnerMap, Int, Layout, MapDef, Pad, Pair, Source, Struct
from cilium_py.schema.decoder import member_of

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch
    from cilium_py.bpf.btf import Btf
    from cilium_py.bpf.directory import Pins
    from cilium_py.bpf.map import BpfMap
    from cilium_py.schema.form import Field

R = TypeVar("R", bound=tuple[Any, ...])
S = TypeVar("S")
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass
class OpenTable(Generic[R]):
    """One pinned map, open, with the layout its shape gave evidence for. Close it, or use it in a with block."""

    map: BpfMap
    layout: Layout[R]
    path: Path
    narrow: Callable[[Batch], Batch | None] | None = None
    """What leaves of a batch the entries that are wanted, before they are decoded."""

    def __enter__(self) -> OpenTable[R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()

    def batches(self) -> Iterator[Batch]:
        """The map, batch by batch, each valid until the next is asked for."""
        for batch in self.map.batches():
            wanted = self.narrow(batch) if self.narrow is not None else batch
            if wanted is not None:
                yield wanted

    def entries(self) -> Iterator[tuple[Any, Any]]:
        """Every (key, value) as Structs of the layout; values of a per-CPU map are summed over the CPUs."""
        for batch in self.batches():
            yield from self.pairs_of(batch)

    def arranged(self, by: Sequence[Field]) -> Iterator[Batch]:
        """The map by fields of its keys."""
        from cilium_py.bpf.sorting import sorted_batches

        members = (member_of(self.layout.key, field.name) for field in by)
        return sorted_batches(self.batches(), [member.ascending for member in members])

    def pairs_of(self, batch: Batch) -> Iterator[tuple[Any, Any]]:
        """The (key, value) of a batch as Structs of the layout; values of a per-CPU map are summed over the CPUs."""
        key, value = self.layout.key, self.layout.value
        keys = key.unpack_many(batch.keys)
        if self.map.per_cpu:
            room = self.map.value_room
            return ((each, total(value, batch.values[at * room : (at + 1) * room])) for at, each in enumerate(keys))
        if value is InnerMap:
            return with_inner(zip(keys, InnerMap.unpack_many(batch.values), strict=True), self.map.held)
        return zip(keys, value.unpack_many(batch.values), strict=True)

    def rows(self, by: Sequence[Field] = ()) -> Iterator[R]:
        """Every row, by fields of its key where they are given."""
        decode, batches = self.layout.decode, self.arranged(by) if by else self.batches()
        return (decode(key, value) for batch in batches for key, value in self.pairs_of(batch))

    def dump(self) -> Iterator[Pair]:
        """Every key and value with the row they make."""
        decode = self.layout.decode
        return (Pair(key, value, decode(key, value)) for key, value in self.entries())

    def get(self, key: Struct) -> R | None:
        """The row of one key: one lookup."""
        data = self.map.lookup(key.pack())
        if data is None:
            return None
        value = self.layout.value
        if value is InnerMap:
            entries = with_inner([(key, InnerMap.unpack(data))], self.map.held)
            return next((self.layout.decode(*pair) for pair in entries), None)
        return self.layout.decode(key, total(value, data) if self.map.per_cpu else value.unpack(data))

    def put(self, key: Struct, value: Struct) -> R:
        """Write an entry; return the row that it makes."""
        self.map.update(key.pack(), value.pack())
        return self.layout.decode(key, value)

    def flush(self) -> int:
        """Delete every entry; return how many. Entries added meanwhile may survive."""
        return sum(batch.count for batch in self.map.take_batches())


def with_inner(
    entries: Iterable[tuple[Struct, InnerMap]], open_held: Callable[[int], BpfMap]
) -> Iterator[tuple[Struct, list[tuple[bytes, bytes]]]]:
    """Each key of a map of maps with the entries of its inner map; without those whose map went meanwhile."""
    for key, held in entries:
        try:
            inner = open_held(held.id)
        except FileNotFoundError:
            continue
        with inner:
            yield key, list(inner.entries())


def total(value: type[Struct], per_cpu: memoryview | bytes) -> Struct:
    """The field-wise sum of one per-CPU value, wrapping like the counters it is made of."""
    widths, padding = _sums(value)
    if padding:
        stride = value.size + padding
        per_cpu = b"".join([per_cpu[at : at + value.size] for at in range(0, len(per_cpu), stride)])
    fields = zip(*value.format.iter_unpack(per_cpu), strict=True)
    return tuple.__new__(value, [sum(each) % width for each, width in zip(fields, widths, strict=True)])


@cache
def _sums(value: type[Struct]) -> tuple[list[int], int]:
    """Where the sum of each field wraps, and how many bytes the kernel has behind the value of a CPU."""
    return [1 << 8 * m.size for m in value.members if isinstance(m.kind, Int)], -value.size % 8


def open_source(
    source: Source[R], directory: Path | Pins, scope: int | str | None = None, *, release: str | None = None,
    read_only: bool = True,
) -> OpenTable[R]:  # fmt: skip
    """Open the pinned map of a source. Raises MapMissing, NotPermitted or LayoutMismatch."""
    from cilium_py.bpf.directory import pins_of

    pins, name = pins_of(directory), source.pin_of(scope)
    path = pins.path(name)
    try:
        opened = pins.open(name, read_only=read_only)
    except OSError as error:
        raise explained(error, path) from error
    try:
        return OpenTable(opened, choose(source, opened, path, release or opened.release), path)
    except BaseException:
        opened.close()
        raise


def choose(source: Source[R], opened: BpfMap, path: Path, release: str | None = None) -> Layout[R]:
    """The layout that the map's sizes and kind, then `release` (--layout) or its BTF leave."""
    info = opened.info
    of_size = [a for a in source.layouts if (a.key.size, a.value.size) == (info.key_size, info.value_size)]
    if not of_size:
        known = ", ".join(dict.fromkeys(f"{a.key.size}/{a.value.size} ({a.release})" for a in source.layouts))
        raise LayoutMismatch(
            f"{path}: key and value are {info.key_size}/{info.value_size} bytes, known are {known}",
            "this release of Cilium has a layout that cilium-py does not know yet",
        )
    fitting = [a for a in of_size if info.type_name in a.kind.value]
    if not fitting:
        known = ", ".join(dict.fromkeys(str(a.kind) for a in of_size))
        raise LayoutMismatch(f"{path}: the map is of type {info.type_name}, known by that name is {known}")
    if release is not None:
        forced = [a for a in fitting if a.release == release]
        if not forced:
            sizes = f"{info.key_size}/{info.value_size}"
            releases = " and ".join(a.release for a in fitting)
            raise WrongUsage(f"{path}: layout {release} does not fit {sizes} bytes", f"these fit: {releases}")
        return forced[0]
    if len(fitting) == 1 and not info.btf_id:
        return fitting[0]
    from cilium_py.bpf.btf import Btf

    btf = Btf.of_map(opened)
    if btf is None:
        return _assumed(source, fitting, path)
    scored = [(evidence(each, btf, info.btf_key_type_id, info.btf_value_type_id), each) for each in fitting]
    agreeing = [(score, each) for score, each in scored if score is not None]
    if not agreeing:
        raise LayoutMismatch(f"{path}: the map's BTF places its fields otherwise than any layout of that size")
    return max(agreeing, key=lambda scored: scored[0])[1]


def _assumed(source: Source[R], fitting: Sequence[Layout[R]], path: Path) -> Layout[R]:
    if source.assumed is None:
        releases = " and ".join(each.release for each in fitting)
        raise LayoutMismatch(f"{path}: layouts {releases} fit and the map has no BTF to tell which", "say --layout")
    return next((each for each in fitting if each.release == source.assumed), fitting[0])


def evidence(candidate: Layout[Any], btf: Btf, key_type: int, value_type: int) -> tuple[int, int] | None:
    """How well a layout agrees with a live map's BTF: (names found in it, minus names not found), more is better.

    None if a name that both have lies elsewhere.
    """
    found = missing = 0
    for struct, type_id in ((candidate.key, key_type), (candidate.value, value_type)):
        live = {m.name: (m.offset, m.bit_offset, m.bits or m.size * 8) for m in btf.type(type_id).flat_members()}
        for name, place in places(struct).items():
            if name not in live:
                missing += bool(live)
            elif live[name] == place:
                found += 1
            else:
                return None
    return found, -missing


def places(struct: type[Struct]) -> dict[str, tuple[int, int, int]]:
    """Name -> (byte, bit in it, number of bits) of a layout's fields; one with named bits counts as those."""
    found = {}
    for member in struct.members:
        if member.bits is not None:
            for name, (first, bits) in member.bits.spans().items():
                found[name] = (member.offset + first // 8, first % 8, bits)
        elif not isinstance(member.kind, Pad):
            found[member.name] = (member.offset, 0, member.size * 8)
    return found


def explained(error: OSError, path: Path) -> CiliumPyError:
    """What an errno means for a reader of pinned maps."""
    if error.errno == errno.ENOENT:
        hint = "is Cilium running here? --bpf-root names another bpffs"
        if path.parent.is_dir():
            hint = "what is switched off has no map; `cilium-py bpf map list` shows what is here"
        return MapMissing(f"{path}: no such map", hint)
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPermitted(f"{path}: permission denied", "run as root")
    return CiliumPyError(f"{path}: {error.strerror}")


def readable(maps: Iterable[S], read: Callable[[S], T]) -> Iterator[tuple[S, T]]:
    """Each of several maps with what is read of it.

    Those that are not there are passed over, those of an unknown shape too, and told of at the end with Partial.
    Raises LayoutMismatch or MapMissing if nothing was read.
    """
    shown, missing, unknown = 0, list[MapMissing](), list[LayoutMismatch]()
    for each in maps:
        try:
            found = read(each)
        except MapMissing as error:
            log.info("%s", error)
            missing.append(error)
            continue
        except LayoutMismatch as error:
            unknown.append(error)
            continue
        shown += 1
        yield each, found
    if unknown and shown:
        raise Partial(f"left out: {'; '.join(error.message for error in unknown)}", unknown[0].hint)
    if not shown and (unknown or missing):
        raise [*unknown, *missing][0]


@dataclass
class Family(Generic[R]):
    """The maps of one definition on one node."""

    definition: MapDef[R]
    directory: Path | Pins
    release: str | None = None

    def tables(
        self,
        scope: int | str | None = None,
        sources: Sequence[Source[R]] | None = None,
        *,
        read_only: bool = True,
    ) -> Iterator[OpenTable[R]]:
        """Each map that is pinned, open until the next is asked for. See readable."""
        for table in self.opened(scope, sources, read_only=read_only):
            with table:
                yield table

    def opened(
        self,
        scope: int | str | None = None,
        sources: Sequence[Source[R]] | None = None,
        *,
        read_only: bool = True,
    ) -> Iterator[OpenTable[R]]:
        """Each map that is pinned, opened for whoever asks to close it. See readable."""
        replaced = set[str]()
        candidates = self.definition.sources if sources is None else sources

        def open_one(source: Source[R]) -> OpenTable[R]:
            # Of an unknown shape it is there all the same: what it replaces may be out of date.
            replaced.add(source.replaces)
            try:
                return open_source(source, self.directory, scope, release=self.release, read_only=read_only)
            except MapMissing:
                replaced.discard(source.replaces)
                raise

        for _, table in readable((each for each in candidates if each.pin not in replaced), open_one):
            yield table

    def rows(self, scope: int | str | None = None, sources: Sequence[Source[R]] | None = None) -> Iterator[R]:
        """Every row of the maps that are pinned, in the definition's order."""
        return self.ordered(self.tables(scope, sources))

    def ordered(self, tables: Iterable[OpenTable[R]]) -> Iterator[R]:
        """Every row of these maps in the definition's order, or in the maps' own (streaming) if it has none."""
        order, by, keep = self.definition.order, self.definition.key_order, self.definition.keep
        streamed: Iterator[R] = (row for table in tables for row in table.rows(by))
        if keep:
            streamed = filter(keep, streamed)
        return arranged(streamed, order) if order and not by else streamed
