"""Layouts: writing and reading are each other's inverse, byte orders are where they belong."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.schema import Bits, Int, Pad, Raw, Struct, be16, be32, ip4, layout, pad2, u8, u16, u32, u64
from tests.unit.schema.test_layouts import STRUCTS

Bitfield: TypeAlias = Annotated[int, Int("H", 2), Bits(("one", ("two", 2), None, ("wide", 9)))]


@layout(size=28)
class Sample(Struct):
    address: ip4
    port: be16
    pad: pad2
    number: be32
    bits: Bitfield
    small: u8
    other: u8
    middle: u32
    large: u64


FIELDS = {
    "address": st.binary(min_size=4, max_size=4),
    "port": st.integers(0, 0xFFFF),
    "number": st.integers(0, 0xFFFFFFFF),
    "bits": st.integers(0, 0xFFFF),
    "small": st.integers(0, 0xFF),
    "other": st.integers(0, 0xFF),
    "middle": st.integers(0, 0xFFFFFFFF),
    "large": st.integers(0, (1 << 64) - 1),
}


@given(st.fixed_dictionaries(FIELDS))
def test_what_is_packed_is_unpacked(values: dict[str, int | bytes]) -> None:
    sample = Sample(**values)  # type: ignore[arg-type]
    assert Sample.unpack(sample.pack()) == sample
    assert {name: getattr(sample, name) for name in values} == values


@given(st.binary(min_size=28, max_size=28))
def test_bytes_survive_but_for_padding(data: bytes) -> None:
    assert Sample.unpack(data).pack() == data[:6] + bytes(2) + data[8:]


@given(st.sampled_from(STRUCTS), st.data())
def test_every_layout_reads_what_it_writes(struct: type[Struct], data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=struct.size, max_size=struct.size))
    once = struct.unpack(raw).pack()
    assert struct.unpack(once).pack() == once
    kept = [m for m in struct.members if not isinstance(m.kind, Pad)]
    assert all(once[m.offset : m.offset + m.size] == raw[m.offset : m.offset + m.size] for m in kept)
    values = {member.name: getattr(struct.unpack(raw), member.name) for member in kept}
    assert struct(**values).pack() == once


def test_byte_order() -> None:
    sample = Sample.unpack(bytes.fromhex("0a000001 01bb ffff 00000007 0500 02 03 04000000 0500000000000000"))
    assert (sample.address, sample.port, sample.number) == (bytes([10, 0, 0, 1]), 443, 7)
    assert (sample.bits, sample.small, sample.other, sample.middle, sample.large) == (5, 2, 3, 4, 5)
    assert sample[1] == 0xBB01


def test_bits() -> None:
    bits = next(member.bits for member in Sample.members if member.bits)
    assert bits.spans() == {"one": (0, 1), "two": (1, 2), "wide": (4, 9)}


def test_many_in_one_buffer() -> None:
    records = [Sample(address=bytes([n] * 4), middle=n) for n in range(5)]  # type: ignore[call-arg]
    assert list(Sample.unpack_many(b"".join(record.pack() for record in records))) == records


def test_a_wrong_size_is_an_error_at_import() -> None:
    with pytest.raises(TypeError, match="take 4 bytes, 5 were declared"):

        @layout(size=5)
        class _Wrong(Struct):
            address: ip4


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="has no field colour"):
        Sample(colour=1)  # type: ignore[call-arg]


def test_an_annotation_that_is_no_field() -> None:
    with pytest.raises(TypeError, match="not a field type"):

        @layout(size=2)
        class _Wrong(Struct):
            port: int


def test_a_raw_field_has_its_bytes() -> None:
    assert Raw(3).code == "3s"
    assert u16 is not be16
