"""Durations: a selection by them is the one by the seconds that are shown, in every clock."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from cilium_py.schema.derived import Left, Since
from cilium_py.select.fields import fields_of, reader
from cilium_py.select.moment import Moment
from cilium_py.select.rows import OPERATORS
from cilium_py.select.rows import test_of as predicate
from cilium_py.select.times import at_moment
from cilium_py.select.tree import Compare


class Row(NamedTuple):
    expires: int
    rx: int
    tx: int


class Clock(NamedTuple):
    hertz: int
    present: int

    def seconds(self, ticks: int) -> int:
        return (ticks << 8) // self.hertz if self.hertz else ticks

    def now(self) -> int:
        return self.present


TICKS = st.integers(0, 1 << 20)
NANOSECONDS = st.integers(-2_000_000_000, 2_000_000_000).map(lambda number: number / 1e9)
"""Seconds in the finest unit that a duration can be given in."""
FIELDS = fields_of(Row, (Left("remaining", "expires"), Since("idle", ("rx", "tx"))))


@given(
    row=st.builds(Row, TICKS, TICKS, TICKS),
    clock=st.builds(Clock, st.sampled_from([0, 100, 250, 300, 1000]), st.integers(0, 1 << 20)),
    name=st.sampled_from(["remaining", "idle"]),
    sign=st.sampled_from(list(OPERATORS)),
    off=st.one_of(st.integers(-2, 2), NANOSECONDS),
)
def test_compared_as_shown(row: Row, clock: Clock, name: str, sign: Any, off: float) -> None:
    moment = Moment(lambda: clock)
    field = FIELDS[name]
    shown = reader(field, FIELDS, moment)(row)
    wanted = shown + off
    node = at_moment(Compare(field, sign, wanted), FIELDS, moment)
    assert predicate(node)(row) == OPERATORS[sign](shown, wanted)
