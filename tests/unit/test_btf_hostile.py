"""BTF and ELF from hostile hands: a clear refusal, never a crash or an endless walk."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.bpf.btf import Btf
from cilium_py.bpf.elf import section

STRINGS = b"\0int\0pair\0left\0right\0same\0"


def name(text: str) -> int:
    return STRINGS.index(b"\0" + text.encode() + b"\0") + 1


def kind(number: int, members: int = 0, flagged: bool = False) -> int:
    return flagged << 31 | number << 24 | members


def whole(types: bytes) -> bytes:
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(STRINGS)) + types + STRINGS


INT = struct.pack("=IIII", name("int"), kind(1), 4, 1 << 24 | 32)
PAIR = struct.pack(
    "=III IIIIII", name("pair"), kind(4, 2, True), 4, name("left"), 1, 5 << 24, name("right"), 1, 27 << 24 | 5
)
GOOD = whole(INT + PAIR)


def test_bitfields() -> None:
    left, right = Btf(GOOD).struct("pair").members
    assert (left.name, left.type, left.offset, left.bit_offset, left.bits) == ("left", "int", 0, 0, 5)
    assert (right.name, right.offset, right.bit_offset, right.bits, right.size) == ("right", 0, 5, 27, 4)


@pytest.mark.parametrize("data", [b"", b"\x9f", GOOD[:20], GOOD[:40], b"\xeb\x9f" + GOOD[2:], GOOD[:-30]], ids=len)
def test_cut_short(data: bytes) -> None:
    with pytest.raises(ValueError, match="BTF"):
        list(Btf(data).struct("pair").members)


def test_a_typedef_of_itself() -> None:
    btf = Btf(whole(struct.pack("=III", name("same"), kind(8), 1)))
    with pytest.raises(ValueError, match="stands for itself"):
        btf.type(1)
    with pytest.raises(ValueError, match="no type 9"):
        btf.type(9)


@given(st.binary(max_size=200))
def test_any_octets(data: bytes) -> None:
    with pytest.raises(ValueError, match="BTF"):
        Btf(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.booleans())
def test_any_file(tmp_path: Path, data: bytes, like_elf: bool) -> None:
    path = tmp_path / "file.o"
    path.write_bytes((b"\x7fELF\x02" if like_elf else b"") + data)
    with pytest.raises(ValueError, match=r"file\.o"):
        section(path, ".BTF")
