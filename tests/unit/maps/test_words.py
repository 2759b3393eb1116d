"""What the map files say of single values, and what they take."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import WrongUsage
from cilium_py.maps import auth, bandwidth, lb_services, multicast, nat, vtep
from cilium_py.schema.golang import int64
from cilium_py.schema.timestamp import local_time, rfc3339

MAX_64 = (1 << 64) - 1


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (992, "992"), (1000, "1k"), (1_000_000, "1M"), (25_000_000, "25M"), (987_654_312, "987654312"),
     (1_500_000, "1500k"), (10**18, "1E"), (10**21, "1000E"), (-8, "-8")],
)  # fmt: skip
def test_a_quantity_has_the_largest_suffix_without_a_fraction(number: int, said: str) -> None:
    assert bandwidth.quantity(number) == said


def test_a_rate_above_63_bits_is_shown_as_it_is() -> None:
    row = bandwidth.decode(bandwidth.Key(id=14, direction=1), bandwidth.Info(bps=MAX_64))
    assert row == (14, "Ingress", 0, MAX_64 * 8)
    assert bandwidth.cells(row)[-1] == str(MAX_64 * 8)
    assert bandwidth.compat_cells(row)[-1] == "-8"


@given(st.integers(min_value=0, max_value=MAX_64))
def test_int64_keeps_the_bits(number: int) -> None:
    assert int64(number) % (1 << 64) == number
    assert -(1 << 63) <= int64(number) < 1 << 63


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (0x40, ["ClusterIP"]),
        (0x62, ["NodePort"]),
        (0x848, ["HostPort", "loopback"]),
        (0x840, ["ClusterIP", "delegate-if-local"]),
        (0x4000, ["ClusterIP", "non-routable", "quarantined"]),
        (0x40C0, ["ClusterIP", "check source-range", "deny"]),
        (0x8141, ["ExternalIPs", "dsr"]),
        (0x140, ["LocalRedirect"]),
    ],
)
def test_flags_of_a_service(flags: int, names: list[str]) -> None:
    assert lb_services.flag_names(flags) == names


def test_the_first_slot_of_a_service_says_its_settings() -> None:
    key = lb_services.Key4(address=b"\x0a\x60\0\1", dport=443, proto=6)
    with_affinity = lb_services.Service(backend_id=2 << 24 | 600, count=3, rev_nat_index=7, flags=0x50)
    row = lb_services.decode(key, with_affinity)
    assert (row.algorithm, row.affinity_timeout, row.proxy_port, row.backend_id) == (2, 600, 0, 0)
    proxied = lb_services.Service(backend_id=0x983A, flags2=0x04)
    assert lb_services.decode(key, proxied).proxy_port == 15000
    slot = lb_services.Key4(address=b"\x0a\x60\0\1", dport=443, proto=6, backend_slot=1)
    assert lb_services.decode(slot, lb_services.Service(backend_id=9)).backend_id == 9


@pytest.mark.parametrize("text", ["10.1.2.0", "fd00::/64", "10.1.2.0/33", "x/24", "", "10.1.2.0/"])
def test_a_network_of_vtep_is_an_ipv4_cidr(text: str) -> None:
    with pytest.raises(WrongUsage):
        vtep.parse_network(text)


def test_a_network_of_vtep_is_masked() -> None:
    assert vtep.parse_network("10.1.2.77/24") == bytes([10, 1, 2, 0])
    assert vtep.parse_endpoint("::ffff:1.2.3.4") == bytes([1, 2, 3, 4])
    with pytest.raises(WrongUsage):
        vtep.parse_endpoint("fd00::1")


@pytest.mark.parametrize("text", ["10.0.0.1", "240.0.0.1", "223.255.255.255", "ff02::1", "x", ""])
def test_a_group_is_ipv4_multicast(text: str) -> None:
    with pytest.raises(WrongUsage):
        multicast.parse_group(text)
    assert multicast.parse_group("239.255.255.255") == b"\xef\xff\xff\xff"


def test_lines_of_subscribers() -> None:
    alone = multicast.Row(b"\xe5\0\0\2", [])
    two = multicast.Row(
        b"\xe5\0\0\1",
        [multicast.Subscriber(b"\x0a\x64\0\1", 0, False), multicast.Subscriber(b"\x0a\x64\0\2", 7, True)],
    )
    assert list(multicast.subscriber_lines(alone)) == ["229.0.0.2       "]
    assert list(multicast.subscriber_lines(two)) == [
        "229.0.0.1       10.100.0.1      Local Endpoint  ",
        "                10.100.0.2      Remote Node     ",
    ]


def test_a_time_far_beyond_9999(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert local_time(MAX_64 * 512 // 10**9 * 10**9).startswith("301261-09-02 22:55:39 +0000")
    assert rfc3339(1_767_225_599_720_711_680) == "2025-12-31T23:59:59.72071168Z"


def test_a_time_in_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ+3:30")
    time.tzset()
    assert local_time(0) == "1969-12-31 20:30:00 -0330 XYZ"
    assert rfc3339(512) == "1969-12-31T20:30:00.000000512-03:30"
    monkeypatch.undo()
    time.tzset()


def test_an_auth_type_without_a_name() -> None:
    assert [auth.type_name(number) for number in (0, 1, 3)] == ["disabled", "spire", "Unknown-auth-type-3"]


def test_nat_says_the_age_if_it_is_known() -> None:
    key = nat.Key4(saddr=b"\x0a\0\0\1", daddr=b"\x0a\0\0\2", sport=1234, dport=53, nexthdr=17, flags=1)
    row = nat.LAYOUTS_4[0].decode(key, nat.Entry4(created=100, to_saddr=b"\x0a\0\0\3", to_sport=40000))
    said = "UDP IN 10.0.0.1:1234 -> 10.0.0.2:53 XLATE_DST 10.0.0.3:40000 Created={} NeedsCT=0"
    assert nat.LINE(row) == said.format("100")
    assert nat.LINE(row._replace(age=23)) == said.format("23sec ago")
