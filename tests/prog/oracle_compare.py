"""Compare what our programs did with what the original's were recorded to do, in every field that is promised."""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.prog.datapath import Datapath, Outcome
from tests.prog.oracle_setup import CHECKED_MAPS, Step

DROP = 2
LIFETIME_SLACK = 3
"""Seconds by which a lifetime may differ: the recorded and our own clock, and a run that straddles a second."""

EVENT_NAMES = {1: "drop", 4: "trace", 5: "verdict"}
HASH = range(4, 8)
DROP_SOURCE = range(28, 31)
CT_LIFETIME = slice(32, 36)
CT_REPORTS = slice(48, 56)
METRIC_KEY_REASON, METRIC_KEY_DIR = 0, 1


class Difference(NamedTuple):
    """A field in which the two are not equal; both sides as text."""

    field: str
    expected: str
    found: str


@dataclass(frozen=True)
class Exemption:
    """A difference on purpose: in which cases, in which fields, and why."""

    cases: str
    fields: tuple[str, ...]
    reason: str

    def covers(self, case: str, difference: Difference) -> bool:
        return fnmatch.fnmatchcase(case, self.cases) and any(
            fnmatch.fnmatchcase(difference.field, pattern) for pattern in self.fields
        )


def exemptions(path: Path) -> list[Exemption]:
    return [Exemption(told["cases"], tuple(told["fields"]), told["reason"]) for told in json.loads(path.read_text())]


def differences(step: Step, outcome: Outcome, datapath: Datapath) -> Iterator[Difference]:
    """Every field of the step in which the outcome, and the maps after it, are not what was recorded."""
    expected = step.expected
    yield from _if_not_equal("ret", expected["ret"], outcome.verdict)
    yield from _packet(step, outcome)
    yield from _if_not_equal("mark", expected["mark"], outcome.mark)
    if outcome.verdict != DROP and "cb" in expected:
        # The other words are internal; this one the host's program reads.
        yield from _if_not_equal("cb[0]", expected["cb"][0], outcome.cb[0])
    yield from _if_not_equal("redirect", expected.get("redirect"), _redirect(outcome))
    yield from _if_not_equal("pkt_type", expected.get("pkt_type"), None)
    yield from _events(expected.get("events", ()), outcome.events)
    yield from _metrics(expected.get("metrics", ()), datapath)
    for name in CHECKED_MAPS:
        yield from _map(name, expected.get("maps", {}).get(name, ()), datapath)


def _if_not_equal(field: str, expected: object, found: object) -> Iterator[Difference]:
    if expected != found:
        yield Difference(field, str(expected), str(found))


def _packet(step: Step, outcome: Outcome) -> Iterator[Difference]:
    told = step.expected["pkt"]
    expected = step.packet if told == "=" else bytes.fromhex(told)
    yield from _octets("pkt", expected, outcome.packet)


def _octets(field: str, expected: bytes, found: bytes, ignored: Sequence[int] = ()) -> Iterator[Difference]:
    """One difference for the lengths, or one for each run of bytes that differ."""
    if len(expected) != len(found):
        yield Difference(field, expected.hex(), found.hex())
        return
    unequal = [at for at in range(len(expected)) if expected[at] != found[at] and at not in ignored]
    while unequal:
        start = end = unequal.pop(0)
        while unequal and unequal[0] == end + 1:
            end = unequal.pop(0)
        yield Difference(f"{field}[{start}:{end + 1}]", expected[start : end + 1].hex(), found[start : end + 1].hex())


def _redirect(outcome: Outcome) -> Mapping[str, Any] | None:
    redirect = outcome.redirect
    if redirect is None:
        return None
    told: dict[str, Any] = {"helper": redirect.helper, "ifindex": redirect.ifindex, "flags": redirect.flags}
    if redirect.helper == "redirect_neigh":
        told |= {"nh_family": redirect.family, "nh": redirect.next_hop.hex()}
    return told


def _events(expected: Sequence[str], found: Sequence[bytes]) -> Iterator[Difference]:
    told = [bytes.fromhex(event) for event in expected]
    yield from _if_not_equal("events", [_title(event) for event in told], [_title(event) for event in found])
    for number, (ours, theirs) in enumerate(zip(found, told, strict=False)):
        if _title(ours) == _title(theirs):
            ignored = [*HASH, *(DROP_SOURCE if theirs[0] == 1 else ())]
            yield from _octets(f"events[{number}]", theirs, ours, ignored)


def _title(event: bytes) -> str:
    return f"{EVENT_NAMES.get(event[0], event[0])} {event[1]}"


def _metrics(expected: Sequence[Sequence[int]], datapath: Datapath) -> Iterator[Difference]:
    counted: dict[tuple[int, int], list[int]] = {}
    metrics = datapath.map("cilium_metrics")
    for key, value in metrics.entries():
        sums = counted.setdefault((key[METRIC_KEY_REASON], key[METRIC_KEY_DIR] & 3), [0, 0])
        for slot in metrics.split(value):
            sums[0] += int.from_bytes(slot[:8], "little")
            sums[1] += int.from_bytes(slot[8:], "little")
    told = {(reason, direction): [packets, octets] for reason, direction, packets, octets in expected}
    for counter in sorted(told.keys() | counted.keys()):
        yield from _if_not_equal(f"metrics{list(counter)}", told.get(counter), counted.get(counter))


def _map(name: str, expected: Sequence[Sequence[Any]], datapath: Datapath) -> Iterator[Difference]:
    told = {entry[0]: entry[1:] for entry in expected}
    found = {key.hex(): value for key, value in datapath.map(name).entries()}
    for key in sorted(told.keys() | found.keys()):
        field = f"{name}[{key}]"
        if key not in found or key not in told:
            yield Difference(field, str(told.get(key, "no entry")), found[key].hex() if key in found else "no entry")
        elif name.startswith("cilium_ct"):
            yield from _connection(field, told[key], found[key])
        elif name == "cilium_policystats":
            yield from _octets(field, bytes.fromhex(told[key][0]), _summed(datapath.map(name).split(found[key])))
        else:
            yield from _octets(field, bytes.fromhex(told[key][0]), found[key])


def _connection(field: str, told: Sequence[Any], found: bytes) -> Iterator[Difference]:
    value = bytearray(found)
    left = int.from_bytes(value[CT_LIFETIME], "little") - time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 10**9
    value[CT_LIFETIME] = bytes(4)
    value[CT_REPORTS] = bytes(8)
    yield from _octets(field, bytes.fromhex(told[0]), bytes(value))
    if abs(left - told[1]) > LIFETIME_SLACK:
        yield Difference(f"{field} lifetime", str(told[1]), str(left))


def _summed(slots: Sequence[bytes]) -> bytes:
    """A per-CPU pair of counters over all CPUs."""
    packets = sum(int.from_bytes(slot[:8], "little") for slot in slots)
    octets = sum(int.from_bytes(slot[8:], "little") for slot in slots)
    return packets.to_bytes(8, "little") + octets.to_bytes(8, "little")
