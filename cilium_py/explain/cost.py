"""What programs cost: runs and time, by program, device and endpoint, as the kernel counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cilium_py.survey.model import ProgramFacts, Survey

from .attach import name_of

CALLS = "cilium_calls_"


class Cost(NamedTuple):
    """A program at a hook; without a device one that others call."""

    device: str
    hook: str
    endpoint: int | None
    pod: str
    """Of the endpoint: namespace/name of its pod, or its container's name; empty where nobody knows."""
    program: str
    type: str
    """The kernel's, such as sched_cls."""
    program_id: int
    runs: int
    runtime_ns: int
    average_ns: float


SORTS = {
    "avg": lambda cost: cost.average_ns,
    "total": lambda cost: cost.runtime_ns,
    "runs": lambda cost: cost.runs,
}


def costs(
    survey: Survey, later: Iterable[ProgramFacts] | None = None, names: Mapping[int, str] | None = None
) -> list[Cost]:  # fmt: skip
    """The cost of each program since it was loaded, or between the survey and a later look at its programs.

    A program that is attached in several places is counted by the kernel as one, and is listed at each.
    """
    before = {each.id: each for each in survey.programs}
    after = before if later is None else {each.id: each for each in later}
    found = _costs(survey, before, after, since_load=later is None)
    return [each._replace(pod=(names or {}).get(each.endpoint or 0, "")) for each in found]


def _costs(
    survey: Survey, before: dict[int, ProgramFacts], after: dict[int, ProgramFacts], *, since_load: bool
) -> Iterator[Cost]:  # fmt: skip
    endpoints = {each.ifindex: each.id for each in survey.endpoints if each.ifindex}
    called = {
        program: int(pin.pin.removeprefix(CALLS))
        for pin in survey.pins
        if pin.pin.startswith(CALLS) and pin.pin.removeprefix(CALLS).isdecimal()
        for program in pin.program_ids
    }
    seen = set()
    for each in survey.attachments:
        facts = after.get(each.program_id)
        if facts is not None:
            seen.add(facts.id)
            endpoint = endpoints.get(each.ifindex) if each.ifindex else None
            yield _cost(each.device, each.hook, endpoint, name_of(survey, each), facts, before, since_load)
    for facts in after.values():
        if facts.id not in seen:
            yield _cost("", "", called.get(facts.id), facts.name, facts, before, since_load)


def _cost(
    device: str, hook: str, endpoint: int | None, name: str, facts: ProgramFacts, before: dict[int, ProgramFacts],
    since_load: bool,
) -> Cost:  # fmt: skip
    runs, spent = facts.run_cnt, facts.run_time_ns
    first = before.get(facts.id)
    if not since_load and first is not None:
        runs, spent = runs - first.run_cnt, spent - first.run_time_ns
    average = round(spent / runs, 1) if runs else 0.0
    return Cost(device, hook, endpoint, "", name, facts.type, facts.id, runs, spent, average)
