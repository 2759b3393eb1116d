"""Whole tables to text: entry by entry in Python, or batch by batch in the kernel where that pays and is possible.

Both make the same bytes, and each batch is read before it is written, so that what is read stands whatever comes
after it. A small table is not worth loading a program for; a kernel or user that may not load it, a map whose rows
are made by a function and a column that has no step go Python's way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, BinaryIO

from cilium_py.errors import CiliumPyError
from cilium_py.render import tabular
from cilium_py.render.output import Output
from cilium_py.render.spool import Spool
from cilium_py.render.stream import READING, put_members
from cilium_py.render.write import header, pieces_of
from cilium_py.render.write import write as write_rows
from cilium_py.schema import GoList, Layout, Line, MapDef, Table
from cilium_py.schema.decoder import Decoder
from cilium_py.table import OpenTable

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch
    from cilium_py.bpf.formatter import Formatter
    from cilium_py.render.steps import Program
    from cilium_py.schema.form import Field

LARGE = 2000
"""Rows in a batch that Python takes about as long for as the program takes to load."""

log = logging.getLogger(__name__)


def streams(output: Output, definition: MapDef[Any]) -> bool:
    """Whether `write` can write this: rows that come in the order of the map, each on its own."""
    if definition.keep or (definition.order and not definition.key_order):
        return False
    if not output.compat:
        return output.format in ("text", "json", "jsonl", "csv")
    shape = definition.compat
    if not isinstance(shape, GoList) or shape.arranged:
        return False
    if not output.is_text:
        return shape.is_stored and output.format in ("json", "yaml")
    return isinstance(definition.text, Line) and not (shape.text or shape.order)


def write(stream: BinaryIO, output: Output, definition: MapDef[Any], tables: Iterable[OpenTable[Any]]) -> None:
    """Write the rows of tables as render.write does, or in compat as render.compat does, where `streams` says so."""
    shape = definition.compat
    with ExitStack() as stack:
        if output.compat and not output.is_text:
            from cilium_py.render.compat import write_items

            assert isinstance(shape, GoList)
            kernel = _Kernel(_Dump(output.format, shape), definition.key_order, stack)
            write_items(stream, output, shape, kernel.all_pieces(tables))
            return
        kernel = _Kernel(_Rows(output.format, definition), definition.key_order, stack)
        if output.format == "json":
            if not put_members(stream, kernel.all_pieces(tables), b"[", b"\n]\n"):
                stream.write(b"[]\n")
            return
        if output.is_text and isinstance(definition.text, Table):
            _aligned(stream, definition.row, definition.text, kernel, tables)
            return
        blank = output.compat and isinstance(shape, GoList) and shape.blank_line_after_map
        head = header(output.format, definition.row)
        for table in tables:
            for piece in kernel.pieces(table):
                stream.write(head)
                stream.write(piece)
                head = b""
            if blank:
                stream.write(b"\n")
        stream.write(head)


def _aligned(
    stream: BinaryIO, row: type[Any], text: Table[Any], kernel: _Kernel, tables: Iterable[OpenTable[Any]]
) -> None:
    """A table in columns as wide as the longest cell: all entries are kept, as they are in the map."""
    failure: Exception | None = None
    with ExitStack() as stack:
        kept: list[_Kept] = []
        try:
            for table in tables:
                kept.append(_Kept(table, stack.enter_context(Spool())))
                for batch in kernel.batches(table):
                    kept[-1].add(batch)
        except READING as error:
            failure = error
        if failure is None or any(each.count for each in kept):
            _write_aligned(stream, row, text, kernel, kept)
    if failure is not None:
        raise failure


class _Kept:
    """The entries of a table, in memory or beside it."""

    def __init__(self, table: OpenTable[Any], spool: Spool[tuple[bytes, bytes, int]]) -> None:
        self.table = table
        self.spool = spool
        self.count = 0

    def add(self, batch: Batch) -> None:
        self.spool.add((bytes(batch.keys), bytes(batch.values), batch.count))
        self.count += batch.count

    def batches(self) -> Iterator[Batch]:
        from cilium_py.bpf.batch import Batch

        return (Batch(memoryview(keys), memoryview(values), count) for keys, values, count in self.spool)


def _write_aligned(stream: BinaryIO, row: type[Any], text: Table[Any], kernel: _Kernel, kept: list[_Kept]) -> None:
    from cilium_py.render.steps import CELL_ROOM, MOST_CELLS

    is_large = sum(each.count for each in kept) >= LARGE
    found = [kernel.program(each.table) for each in kept] if is_large else []
    programs = [program for program in found if program is not None]
    if kernel.formatter is not None and len(programs) == len(kept):
        longest = [0] * MOST_CELLS
        for program, each in zip(programs, kept, strict=True):
            kernel.formatter.use(program)
            for batch in each.batches():
                longest = kernel.formatter.measure(batch, longest)
        widths = tabular.widths_of(text.titles, longest, text.padded)
        if max(widths) <= CELL_ROOM:
            stream.write(tabular.title_line(text.titles, widths, text.padded).encode() + b"\n")
            for program, each in zip(programs, kept, strict=True):
                kernel.formatter.use(program)
                kernel.formatter.fill(widths)
                for batch in each.batches():
                    for piece in kernel.formatter.texts(batch):
                        stream.write(piece)
            return
    rows = (row for each in kept for batch in each.batches() for row in _rows(each.table, batch))
    write_rows(stream, Output("text"), rows, row, text)


def _rows(table: OpenTable[Any], batch: Batch) -> Iterator[Any]:
    return starmap(table.layout.decode, table.pairs_of(batch))


def gathered(table: OpenTable[Any]) -> Iterator[Batch]:
    """The entries of a table, those that few of many were selected in larger batches than they came in."""
    from cilium_py.bpf.batch import ROOM

    if table.narrow is None:
        yield from table.batches()
        return
    held: list[tuple[bytes, bytes]] = []
    count = 0
    failure: Exception | None = None
    try:
        for batch in table.batches():
            held.append((bytes(batch.keys), bytes(batch.values)))
            count += batch.count
            if count >= ROOM:
                yield _joined(held, count)
                held, count = [], 0
    except READING as error:
        failure = error
    if held:
        yield _joined(held, count)
    if failure is not None:
        raise failure


def _joined(parts: Sequence[tuple[bytes, bytes]], count: int) -> Batch:
    from cilium_py.bpf.batch import Batch

    keys, values = (memoryview(b"".join(column)) for column in zip(*parts, strict=True))
    return Batch(keys, values, count)


class _Rows:
    """Rows in one of our formats, or as text."""

    def __init__(self, form: str, definition: MapDef[Any]) -> None:
        self.form = form
        self.definition = definition

    def program(self, layout: Layout[Any]) -> Program | None:
        """What the kernel is to write; None of rows that are made by a function. Raises Unsupported."""
        from cilium_py.render.wholesale import program_of

        decoder = layout.decode
        return program_of(self.form, self.definition.text, decoder) if isinstance(decoder, Decoder) else None

    def pieces(self, table: OpenTable[Any], batch: Batch) -> Iterator[bytes]:
        """What Python writes."""
        return pieces_of(self.form, _rows(table, batch), self.definition.row, self.definition.text)


class _Dump:
    """What lies in memory, as cilium-dbg dumps it."""

    def __init__(self, form: str, shape: GoList[Any]) -> None:
        self.form = form
        self.shape = shape

    def program(self, layout: Layout[Any]) -> Program | None:
        from cilium_py.render.stored import stored

        return stored(self.form, self.shape, layout).program()

    def pieces(self, table: OpenTable[Any], batch: Batch) -> Iterator[bytes]:
        from cilium_py.render.stored import stored

        return stored(self.form, self.shape, table.layout).pieces(batch)


class _Kernel:
    """The program that formats, loaded when it is first worth it, and what it is to write of each layout."""

    def __init__(self, wording: _Rows | _Dump, by: Sequence[Field], stack: ExitStack) -> None:
        """`by` are the fields of a key that the entries are sorted by."""
        self.wording = wording
        self.by = by
        self.stack = stack
        self.formatter: Formatter | None = None
        self.is_refused = False

    def all_pieces(self, tables: Iterable[OpenTable[Any]]) -> Iterator[bytes | memoryview]:
        return chain.from_iterable(map(self.pieces, tables))

    def pieces(self, table: OpenTable[Any]) -> Iterator[bytes | memoryview]:
        """The text of a table's entries, piece by piece; each is valid until the next is asked for."""
        program: Program | None = None
        for batch in self.batches(table):
            if program is None and (self.formatter or batch.count >= LARGE):
                program = self.program(table)
                if program is not None and self.formatter is not None:
                    self.formatter.use(program)
            if program is not None and self.formatter is not None:
                yield from filter(len, self.formatter.texts(batch))
            else:
                yield from self.wording.pieces(table, batch)

    def batches(self, table: OpenTable[Any]) -> Iterator[Batch]:
        """A table in the order that its rows have."""
        return table.arranged(self.by) if self.by else gathered(table)

    def program(self, table: OpenTable[Any]) -> Program | None:
        """What the kernel is to write of this table's entries; None if Python must."""
        from cilium_py.render.steps import Unsupported

        if self.is_refused or table.map.per_cpu:
            return None
        try:
            program = self.wording.program(table.layout)
        except Unsupported as reason:
            log.info("%s: formatted by Python: %s", table.path, reason)
            self.is_refused = True
            return None
        return program if program and (self.formatter or self.load()) else None

    def load(self) -> bool:
        from cilium_py.bpf.formatter import Formatter

        try:
            self.formatter = self.stack.enter_context(Formatter())
        except (OSError, CiliumPyError) as reason:
            # EPERM without CAP_BPF, EINVAL or a verifier's refusal before Linux 5.17, ENOENT without the object.
            log.info("formatted by Python: %s", reason)
            self.is_refused = True
        return not self.is_refused
