"""Text made by the kernel: byte for byte what Python makes of the same entries."""

from __future__ import annotations

import io
import json
import random
import re
import struct
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cilium_py import bulk
from cilium_py.bpf import formatter, walk
from cilium_py.bpf.batch import Batch
from cilium_py.bpf.formatter import TEXT_ROOM, Formatter
from cilium_py.bpf.map import BpfMap
from cilium_py.cli.main import main
from cilium_py.families import definitions
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import ct, nat
from cilium_py.render import Output, compat, tabular, write
from cilium_py.render.steps import CELL_ROOM, MOST_CELLS, Program, Unsupported
from cilium_py.render.stored import stored
from cilium_py.render.wholesale import program_of
from cilium_py.schema import GoList, Int, Layout, MapDef, Member, Pair, Struct, Table
from cilium_py.schema.decoder import Decoder, amended
from cilium_py.table import OpenTable
from tests.features import Feature, require

FORMATS = ("text", "json", "jsonl", "csv")
NOW = 1_000_000
ENTRIES = 2500
"""More than Python is left with."""


def declared() -> Iterator[tuple[MapDef[Any], Layout[Any]]]:
    for definition in definitions():
        for source in definition.sources:
            for layout in source.layouts:
                if isinstance(layout.decode, Decoder):
                    yield definition, layout
    for hertz in (0, 1, 250):
        yield ct.MAP, amended(ct.LAYOUTS_4[1], ct.remaining(NOW, hertz))
        yield nat.MAP, amended(nat.LAYOUTS_6[0], nat.age(NOW, hertz))


LAYOUTS = [
    pytest.param(definition, layout, id=f"{definition.command[-1]} {layout.key.size} {layout.release}")
    for definition, layout in declared()
]
NUMBERS = sorted({10**power + more for power in range(20) for more in (-1, 0, 1)} | {2**64 - 1, 2**63, 2**63 - 1})


def numbers(size: int) -> st.SearchStrategy[int]:
    """Integers of so many bytes, those with one digit more than the last in particular."""
    most = (1 << 8 * size) - 1
    bits = st.integers(0, 8 * size - 1).map(lambda bit: 1 << bit)
    return st.one_of(
        st.sampled_from([number for number in NUMBERS if number <= most]),
        bits,
        st.integers(0, most),
        st.sampled_from([number for number in (0, 6, 17, NOW, NOW + 1) if number <= most]),
    )


def octets(size: int) -> st.SearchStrategy[bytes]:
    """Addresses and the like: with groups of zeros, and IPv4-mapped."""
    groups = st.lists(st.sampled_from([b"\0\0", b"\0\1", b"\x0a\0", b"\x01\x0b", b"\xff\xff"]), min_size=8, max_size=8)
    anything = st.binary(min_size=size, max_size=size)
    if size != 16:
        return anything
    mapped = st.binary(min_size=4, max_size=4).map(lambda tail: bytes(10) + b"\xff\xff" + tail)
    return st.one_of(anything, groups.map(b"".join), mapped, groups.map(lambda g: bytes(12) + b"".join(g)[:4]))


def member(each: Member) -> st.SearchStrategy[bytes]:
    if isinstance(each.kind, Int):
        return numbers(each.size).map(lambda number: number.to_bytes(each.size, "big" if each.kind.big else "little"))
    return octets(each.size)


def records(layout: type[Struct]) -> st.SearchStrategy[bytes]:
    return st.tuples(*map(member, layout.members)).map(b"".join)


def batch(entries: list[tuple[bytes, bytes]]) -> Batch:
    keys, values = (memoryview(b"".join(column)) for column in zip(*entries, strict=True))
    return Batch(keys, values, len(entries))


def by_python(form: str, definition: MapDef[Any], layout: Layout[Any], entries: list[tuple[bytes, bytes]]) -> bytes:
    """As the format has these rows in the middle of a document."""
    rows = [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in entries]
    stream = io.BytesIO()
    write(stream, Output(form), rows, definition.row, definition.text)
    text = stream.getvalue()
    if form == "json":
        return b"," + text[1:-3]
    return text.partition(b"\n")[2] if form == "csv" else text


def by_kernel(
    program: Formatter, steps: Program, form: str, definition: MapDef[Any], entries: list[tuple[bytes, bytes]]
) -> bytes:
    program.use(steps)
    text, head = definition.text, b""
    if form == "text" and isinstance(text, Table):
        widths = tabular.widths_of(text.titles, program.measure(batch(entries), [0] * MOST_CELLS), text.padded)
        assume(max(widths) <= CELL_ROOM)
        program.fill(widths)
        head = tabular.title_line(text.titles, widths, text.padded).encode() + b"\n"
    return head + b"".join(map(bytes, program.texts(batch(entries))))


@pytest.fixture(scope="module")
def program(own_mounts: None) -> Iterator[Formatter]:  # noqa: ARG001  for its effect
    require(Feature("bpf_loop in programs of the syscall type", since="5.17"), lambda: Formatter().close())
    with Formatter() as loaded:
        yield loaded


@pytest.mark.parametrize(("definition", "layout"), LAYOUTS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_same_bytes(definition: MapDef[Any], layout: Layout[Any], program: Formatter, data: st.DataObject) -> None:
    entry = st.tuples(records(layout.key), records(layout.value))
    entries = data.draw(st.lists(entry, min_size=1, max_size=12))
    for form in FORMATS:
        try:
            steps = program_of(form, definition.text, layout.decode)  # type: ignore[arg-type]  # both are declared
        except Unsupported:
            assert (definition, layout.release) == (ct.MAP, "1.12"), "only sums of counters are left to Python"
            continue
        assert by_kernel(program, steps, form, definition, entries) == by_python(form, definition, layout, entries)


DUMPED = [
    pytest.param(definition.compat, layout, id=f"{definition.command[-1]} {layout.key.size} {layout.release}")
    for definition in definitions()
    for source in definition.sources
    for layout in source.layouts
    if isinstance(definition.compat, GoList) and definition.compat.is_stored
]


@pytest.mark.parametrize(("shape", "layout"), DUMPED)
@pytest.mark.parametrize("form", ["json", "yaml"])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_same_dump(form: str, shape: GoList[Any], layout: Layout[Any], program: Formatter, data: st.DataObject) -> None:
    """What is made once for a layout says of each entry what its item says."""
    entry = st.tuples(records(layout.key), records(layout.value))
    entries = data.draw(st.lists(entry, min_size=1, max_size=12))
    pairs = [Pair(layout.key.unpack(key), layout.value.unpack(value), None) for key, value in entries]
    stream = io.BytesIO()
    compat.write_list(stream, Output(form, compat=True), shape, pairs)
    expected = b"," + stream.getvalue()[1:-4] if form == "json" else stream.getvalue()[:-1]
    dump = stored(form, shape, layout)
    assert b"".join(dump.pieces(batch(entries))) == expected
    program.use(dump.program())
    assert b"".join(map(bytes, program.texts(batch(entries)))) == expected


def connection(number: int) -> tuple[bytes, bytes]:
    key = ct.Key4(
        daddr=struct.pack(">I", 0x0A000000 + number), saddr=b"\x0a\1\0\1", dport=443, sport=number % 65536, nexthdr=6
    )
    value = ct.Entry(packets=number, bytes=number**4, lifetime=NOW + number, flags=0x13, src_sec_id=number)
    return key.pack(), value.pack()


def test_more_than_there_is_room_for_at_once(program: Formatter) -> None:
    entries = [connection(number) for number in range(12_000)]
    program.use(program_of("json", ct.MAP.text, ct.LAYOUTS_4[1].decode))  # type: ignore[arg-type]  # both are declared
    pieces = [bytes(text) for text in program.texts(batch(entries))]
    assert b"".join(pieces) == by_python("json", ct.MAP, ct.LAYOUTS_4[1], entries)
    assert len(pieces) > 3
    assert max(map(len, pieces)) > TEXT_ROOM - 1000


@pytest.fixture
def connections(bpffs: Path) -> Iterator[Path]:
    """A node with two tables of connections, a large one and a small one; its bpf root."""
    pins = bpffs / "tc/globals"
    pins.mkdir(parents=True)
    for pin, count in (("cilium_ct4_global", ENTRIES), ("cilium_ct_any4_global", 3)):
        with BpfMap.create(name=pin, type=MapType.LRU_HASH, key_size=14, value_size=56, max_entries=65536) as made:
            entries = batch([connection(number) for number in range(count)])
            made.update_batch(entries.keys, entries.values)
            made.pin(pins / pin)
    yield bpffs
    for path in pins.iterdir():
        path.unlink()


Listed = Callable[..., bytes]


@pytest.fixture
def listed(connections: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Listed:
    """What a command prints about the connections."""

    def run(*words: str) -> bytes:
        with pytest.raises(SystemExit) as stopped:
            main(["--bpf-root", str(connections), *words])
        assert stopped.value.code == 0
        return capfdbinary.readouterr().out

    return run


WORDS = [
    ("bpf", "ct", "list"),
    ("--compat", "bpf", "ct", "list", "global"),
    ("bpf", "ct", "list", "--layout", "1.16"),
    *(("bpf", "ct", "list", "-o", form) for form in FORMATS),
    *(("--compat", "bpf", "ct", "list", "global", "-o", form) for form in ("json", "yaml")),
]
PORT = re.compile(rb"\b(443|47873)\b")
"""Also as it lies in memory."""


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_which_way_it_went_cannot_be_seen(
    words: tuple[str, ...], listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    with monkeypatch.context() as patch:
        patch.setattr(Formatter, "use", lambda self, steps, use=Formatter.use: (used.append(steps), use(self, steps)))
        by_kernel = listed(*words)
    assert used
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "LARGE", ENTRIES + 1)
        assert listed(*words) == by_kernel
    with monkeypatch.context() as patch:
        patch.setattr(formatter, "OBJECT", Path("/nonexistent/bpf_format.o"))
        assert listed(*words) == by_kernel
    assert len(PORT.findall(by_kernel)) >= ENTRIES


def test_json_is_json(listed: Listed) -> None:
    found = json.loads(listed("bpf", "ct", "list", "-o", "json"))
    assert len(found) == ENTRIES + 3
    assert {row["packets"] for row in found} == set(range(ENTRIES))


@pytest.mark.parametrize("output", [*map(Output, FORMATS), Output("json", compat=True), Output("yaml", compat=True)])
def test_what_was_read_before_an_error_is_written(output: Output, connections: Path) -> None:
    class Broken(BpfMap):
        def batches(self, room: int = 1000) -> Iterator[Batch]:
            yield from super().batches(room)
            raise OSError(5, "the map went away")

    with Broken.open(connections / "tc/globals/cilium_ct4_global") as opened:
        table = OpenTable(opened, ct.LAYOUTS_4[1], connections)
        stream = io.BytesIO()
        with pytest.raises(OSError, match="went away"):
            bulk.write(stream, output, ct.MAP, [table])
        assert len(PORT.findall(stream.getvalue())) >= ENTRIES
        if output.format == "json":
            assert len(json.loads(stream.getvalue())) == ENTRIES


@pytest.mark.parametrize(("form", "nothing"), [("json", b"[]\n\n"), ("yaml", b"[]\n\n"), ("text", b"\n")])
def test_an_empty_dump(form: str, nothing: bytes, bpffs: Path) -> None:
    with BpfMap.create(name="empty", type=MapType.HASH, key_size=14, value_size=56, max_entries=1) as opened:
        stream = io.BytesIO()
        bulk.write(stream, Output(form, compat=True), ct.MAP, [OpenTable(opened, ct.LAYOUTS_4[1], bpffs)])
        assert stream.getvalue() == nothing


@pytest.mark.parametrize(("form", "layout"), list(product(FORMATS, [ct.LAYOUTS_4[1], ct.LAYOUTS_6[1]])))
def test_an_empty_table(form: str, layout: Layout[Any], bpffs: Path) -> None:
    with BpfMap.create(
        name="empty", type=MapType.HASH, key_size=layout.key.size, value_size=layout.value.size, max_entries=1
    ) as opened:
        stream, expected = io.BytesIO(), io.BytesIO()
        bulk.write(stream, Output(form), ct.MAP, [OpenTable(opened, layout, bpffs)])
        write(expected, Output(form), [], ct.Row, ct.MAP.text)
        assert stream.getvalue() == expected.getvalue()


def test_lines_that_are_left_out(program: Formatter) -> None:
    """Nothing at all is written of a batch without a protocol."""
    without = [(replace_byte(key, 12, 0), value) for key, value in map(connection, range(10))]
    program.use(program_of("text", ct.MAP.text, ct.LAYOUTS_4[1].decode))  # type: ignore[arg-type]  # both are declared
    assert b"".join(map(bytes, program.texts(batch(without)))) == b""


def replace_byte(octets: bytes, at: int, byte: int) -> bytes:
    return octets[:at] + bytes([byte]) + octets[at + 1 :]


def test_partial_is_said(
    connections: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What a kernel could not promise to be whole is written all the same, and said."""
    whole = BpfMap.batches

    def torn(self: BpfMap, room: int = 1000) -> Iterator[Batch]:
        yield from whole(self, room)
        raise walk.changed(self)

    monkeypatch.setattr(BpfMap, "batches", torn)
    with pytest.raises(SystemExit) as stopped:
        main(["--bpf-root", str(connections), "bpf", "ct", "list", "-o", "json"])
    assert stopped.value.code == 3
    out, err = capfdbinary.readouterr()
    assert len(json.loads(out)) == ENTRIES
    assert b"entries may be missing" in err


SORTED = [
    pytest.param(definition, layout, id=f"{' '.join(definition.command)} {layout.key.size} {layout.release}")
    for definition in definitions()
    if definition.key_order
    for source in definition.sources
    for layout in source.layouts
]


@pytest.mark.parametrize(("definition", "layout"), SORTED)
def test_entries_are_sorted_as_rows_are(definition: MapDef[Any], layout: Layout[Any], bpffs: Path) -> None:
    dice = random.Random(layout.release)
    with BpfMap.create(
        name="unsorted", type=MapType.HASH, key_size=layout.key.size, value_size=layout.value.size, max_entries=8192
    ) as opened:
        # Few different bytes, so that fields are often equal; a scope is 0 or 1.
        keys = {bytes(dice.choices((0, 1, 6, 17, 132), k=layout.key.size - 3)) + bytes(3) for _ in range(5000)}
        if definition.command == ("lb", "backends"):
            keys = {number.to_bytes(4, "little") for number in range(5000)}
        for key in keys:
            opened.update(key, bytes(layout.value.size))
        table = OpenTable(opened, layout, bpffs)
        found = [row for some in table.arranged(definition.key_order) for row in rows(layout, some)]
        assert definition.order is not None
        assert len(found) == len(keys)
        assert found == sorted(table.rows(), key=definition.order)


def rows(layout: Layout[Any], some: Batch) -> list[Any]:
    return [layout.decode(layout.key.unpack(key), layout.value.unpack(value)) for key, value in some.pairs()]
