"""A program that writes a line for each entry of a map."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.iterator import iterate, output
from cilium_py.bpf.link import Link
from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.libbpf.constants import MapType

COUNT = 5000
SILENT = 1_100_000


def squares(count: int) -> BpfMap:
    made = BpfMap.create(name="squares", type=MapType.HASH, key_size=4, value_size=4, max_entries=max(count, 1))
    numbers = range(count)
    keys = b"".join(struct.pack("=I", n) for n in numbers)
    made.update_batch(keys, b"".join(struct.pack("=I", n * n & 0xFFFFFFFF) for n in numbers))
    return made


@pytest.fixture
def lines(build: Callable[[str], Path]) -> Iterator[BpfObject]:
    with BpfObject.open(build("walk")) as opened:
        opened.load()
        yield opened


def read(pieces: Iterator[memoryview]) -> list[str]:
    return sorted(b"".join(bytes(piece) for piece in pieces).decode().splitlines())


EXPECTED = sorted(f"{n} {n * n}" for n in range(COUNT))


@pytest.mark.parametrize("room", [100, 4096, 1 << 20])
def test_every_entry_once(lines: BpfObject, room: int) -> None:
    with squares(COUNT) as made:
        assert read(iterate(lines.programs["lines"], made, room)) == EXPECTED


def test_an_empty_map_gives_nothing(lines: BpfObject) -> None:
    with squares(0) as made:
        assert read(iterate(lines.programs["lines"], made)) == []


def test_a_pinned_iterator_is_a_file(lines: BpfObject, bpffs: Path) -> None:
    with squares(COUNT) as made, Link.iterator(lines.programs["lines"], made.fd) as link:
        assert (link.info.type_name, link.info.map_id) == ("iter", made.info.id)
        link.pin(bpffs / "squares")
        assert read(output(link)) == read(output(link)) == EXPECTED
        assert sorted((bpffs / "squares").read_text().splitlines()) == EXPECTED


def test_a_long_silence_is_not_the_end(build: Callable[[str], Path]) -> None:
    """After a million entries without output the kernel answers EAGAIN."""
    with BpfObject.open(build("walk")) as opened, squares(SILENT) as made:
        opened.rodata["lowest"] = SILENT - 1
        opened.load()
        assert len(read(iterate(opened.programs["lines"], made))) == 1
