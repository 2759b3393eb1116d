"""Rows as PyYAML writes them, held against PyYAML."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.render.rowyaml import writer
from cilium_py.render.values import as_object
from cilium_py.schema import Address, Mac, Prefix


class Inner(NamedTuple):
    name: str
    number: int | None


class Row(NamedTuple):
    text: str
    note: str | None
    names: list[str]
    address: Address
    prefix: Prefix | None
    mac: Mac
    hosts: list[Address]
    count: int
    up: bool
    inner: list[Inner]
    y: int


TEXTS = st.text() | st.sampled_from(
    ["", "1.5", "on", "n", "~", "10.0.0.1:80", "1:20", "::", "fd::1", "12:30:45", "a: b", "- a", "#", "a\nb", " a", "é"]
)
ADDRESSES = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
ROWS = st.builds(
    Row, text=TEXTS, note=st.none() | TEXTS, names=st.lists(TEXTS, max_size=3), address=ADDRESSES,
    prefix=st.none() | st.tuples(ADDRESSES, st.integers(0, 32)), mac=st.binary(min_size=6, max_size=6),
    hosts=st.lists(ADDRESSES, max_size=2), count=st.integers(), up=st.booleans(),
    inner=st.lists(st.builds(Inner, name=TEXTS, number=st.none() | st.integers()), max_size=2), y=st.integers(0, 1),
)  # fmt: skip


def dumped(row: Row) -> str:
    text: str = yaml.dump(
        [as_object(row)], Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 20
    )  # fmt: skip
    return text


class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


@given(ROWS)
def test_an_item_is_what_pyyaml_writes(row: Row) -> None:
    assert writer(Row)(row) == dumped(row)


@pytest.mark.parametrize("address", [bytes(16), bytes([0xFD, 0] + [0] * 14), b"\x12\x34" * 8, bytes([0] * 15 + [1])])
def test_an_address_stays_text(address: bytes) -> None:
    row = Row("", None, [], address, (address, 7), bytes(6), [], 0, False, [], 0)
    assert yaml.safe_load(writer(Row)(row))[0] == as_object(row)
