"""Durations, intervals, the history of probes."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import WrongUsage
from cilium_py.health.history import KEPT, LOST, History, Series, quantile
from cilium_py.health.schedule import Schedule
from cilium_py.schema import duration


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0s"), (1, "1ns"), (672_600, "672.6µs"), (1_653_627, "1.653627ms"), (10**9, "1s"),
        (74 * 10**9, "1m14s"), (3600 * 10**9, "1h0m0s"), (41_588_830_834, "41.588830834s"), (-1500, "-1.5µs"),
    ],
)  # fmt: skip
def test_text_of_a_duration(nanoseconds: int, shown: str) -> None:
    assert duration.text(nanoseconds) == shown


@given(st.integers(0, 10**15))
def test_text_can_be_read(nanoseconds: int) -> None:
    shown = duration.text(nanoseconds)
    assert duration.seconds(shown) == pytest.approx(nanoseconds / 1e9)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10", 10), ("0.5", 0.5), ("500ms", 0.5), ("1m30s", 90), ("2us", 2e-6), (".5h", 1800), ("1w2d", 777600)],
)
def test_reading(written: str, seconds: float) -> None:
    assert duration.seconds(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "s", "5 s", "-1s", "1y", "1s!", "1e3", "nan"])
def test_not_a_duration(written: str) -> None:
    with pytest.raises(WrongUsage):
        duration.seconds(written)


@pytest.mark.parametrize(
    ("addresses", "seconds"), [(0, 60), (1, 41.6), (2, 65.9), (8, 131.8), (64, 250), (1024, 416)]
)  # fmt: skip
def test_interval(addresses: int, seconds: float) -> None:
    """The figures of the reference for the default ratio."""
    assert Schedule().interval(addresses) == pytest.approx(seconds, rel=0.005)


def test_bounds_of_the_base() -> None:
    assert (Schedule.of_ratio(0).base, Schedule.of_ratio(1).base) == (10, 110)


def test_probes_fill_the_interval() -> None:
    assert Schedule().gap(8) * 8 == pytest.approx(Schedule().interval(8))


@given(st.lists(st.integers(0, 10**9), max_size=3 * KEPT))
def test_ring_keeps_the_last(times: list[int]) -> None:
    series, model = Series(), deque[int](maxlen=KEPT)
    for time in times:
        series.add(time)
        model.append(time)
    assert sorted(series.times) == sorted(model)


def test_summary() -> None:
    history = History()
    series = history.of("10.0.0.1", "icmp")
    for time in range(1, 20):
        series.add(time * 1000)
    series.fail("2026-11-23T14:00:02Z", "Connection timed out")
    found = history.summary("node2", "node", "primary", "10.0.0.1", "icmp")
    assert (found.probes, found.lost, found.loss_percent) == (20, 1, 5.0)
    assert (found.p50_ns, found.p95_ns) == (10_000, 19_000)
    assert (found.last_failure, found.reason) == ("2026-11-23T14:00:02Z", "Connection timed out")
    assert LOST not in (found.p50_ns, found.p95_ns)


def test_unknown_address_has_an_empty_summary() -> None:
    history = History()
    assert history.summary("n", "node", "primary", "10.0.0.9", "http").probes == 0
    assert history.series == {}


def test_only_what_is_kept_stays() -> None:
    history = History()
    history.of("10.0.0.1", "icmp")
    history.of("10.0.0.2", "icmp")
    history.keep(["10.0.0.2"])
    assert list(history.series) == [("10.0.0.2", "icmp")]


@given(st.lists(st.integers(), min_size=1), st.floats(0, 1))
def test_quantile_is_a_value(values: list[int], part: float) -> None:
    found = quantile(sorted(values), part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) - 1e-9
