"""Values to text and back."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import WrongUsage
from cilium_py.schema import text

PACKED = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))


@given(PACKED)
def test_addresses(packed: bytes) -> None:
    assert text.parse_ip(text.ip(packed)) == packed
    if not packed.startswith(text.MAPPED):
        assert text.ip(packed) == str(ip_address(packed))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("::", "::"),
        ("::1", "::1"),
        ("::1234:5678", "::1234:5678"),
        ("0:0:0:1::", "0:0:0:1::"),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ],
)
def test_ipv6_as_go_prints_it(address: str, said: str) -> None:
    assert text.ip(ip_address(address).packed) == said


def test_an_ipv4_mapped_address_in_a_table() -> None:
    assert text.endpoint(ip_address("::ffff:10.1.2.3").packed, 80) == "10.1.2.3:80"


@given(PACKED, st.data())
def test_prefixes(packed: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(packed) * 8))
    network = ip_network(f"{ip_address(packed)}/{length}", strict=False)
    assert text.parse_prefix(f"{text.ip(packed)}/{length}") == (network.network_address.packed, length)


@given(st.binary(min_size=6, max_size=6))
def test_macs(packed: bytes) -> None:
    assert text.parse_mac(text.mac(packed)) == packed


@pytest.mark.parametrize("word", ["", "10.0.0", "10.0.0.256", "fd00::x", "10.0.0.1 ", "1e3", "\0"])
def test_no_address(word: str) -> None:
    with pytest.raises(WrongUsage):
        text.parse_ip(word)


@pytest.mark.parametrize("word", ["", "-1", "+1", "256", "0x100", "1_0", " 1", "1.0", "x", "٣", "9" * 9999])
def test_no_number(word: str) -> None:
    with pytest.raises(WrongUsage, match="is not a byte") as caught:
        text.number(word, "a byte", 255)
    assert caught.value.hint == "give a number from 0 to 255"


@pytest.mark.parametrize(("word", "number"), [("0", 0), ("255", 255), ("0xff", 255), ("0X1f", 31), ("007", 7)])
def test_numbers(word: str, number: int) -> None:
    assert text.number(word, "a byte", 255) == number


@pytest.mark.parametrize(("word", "number"), [("tcp", 6), ("ICMPv6", 58), ("47", 47), ("ANY", 0)])
def test_protocols(word: str, number: int) -> None:
    assert text.parse_protocol(word) == number
