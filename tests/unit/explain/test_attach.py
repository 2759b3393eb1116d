"""What `doctor attach` finds in a survey, and what it leaves alone; what programs cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from cilium_py.explain.attach import attached, findings
from cilium_py.explain.cost import costs
from cilium_py.survey.model import (
    Attachment,
    DeviceFacts,
    EndpointFacts,
    LinkPin,
    MapFacts,
    MapPin,
    ProgramFacts,
    Survey,
)

LINKS = "/sys/fs/bpf/cilium/endpoints/1/links"


def program(number: int, name: str, *maps: int, runs: int = 0, ns: int = 0) -> ProgramFacts:
    return ProgramFacts(number, name, "sched_cls", "0" * 16, list(maps), ns, runs)


GOOD = Survey(
    programs=[
        program(1, "cil_from_container", 10, 20, runs=4, ns=4000),
        program(2, "cil_to_container", 10),
        program(3, "tail_handle_ipv4", 11),
    ],
    maps=[MapFacts(10, "cilium_metrics", "percpu_hash", []), MapFacts(11, "cilium_ipcache_", "lpm_trie", []),
          MapFacts(20, "cilium_calls", "prog_array", [3])],
    attachments=[Attachment("lxc1", 5, "ingress", "tcx", 1, 101), Attachment("lxc1", 5, "egress", "tcx", 2, 102)],
    links=[LinkPin(f"{LINKS}/cil_from_container", 101, 1, 5, "tcx"),
           LinkPin(f"{LINKS}/cil_to_container", 102, 2, 5, "tcx")],
    pins=[MapPin("cilium_metrics", 10, "cilium_metrics", "percpu_hash", []),
          MapPin("cilium_ipcache_v2", 11, "cilium_ipcache_", "lpm_trie", []),
          MapPin("cilium_calls_00001", 20, "cilium_calls", "prog_array", [3])],
    endpoints=[EndpointFacts(1, 5, 256)],
    devices=[DeviceFacts("lo", 1), DeviceFacts("lxc1", 5)],
    unseen=[],
)  # fmt: skip


def with_pin(survey: Survey, pin: MapPin) -> Survey:
    return survey._replace(pins=[*(each for each in survey.pins if each.pin != pin.pin), pin])


def with_attached(survey: Survey, *more: Attachment) -> Survey:
    return survey._replace(attachments=[*survey.attachments, *more])


class Case(NamedTuple):
    title: str
    change: Callable[[Survey], Survey]
    found: list[tuple[str, str]]
    said: str = ""


CASES = [
    Case("all is well", lambda good: good, []),
    Case("a tail call uses a map that was replaced",
         lambda good: with_pin(good, MapPin("cilium_ipcache_v2", 99, "cilium_ipcache_", "lpm_trie", [])),
         [("error", "another map")], "tail_handle_ipv4 at lxc1 use a map cilium_ipcache_ with id 11"),
    Case("a map without a pin is the program's own",
         lambda good: good._replace(pins=[pin for pin in good.pins if pin.id != 11]), []),
    Case("a program that is attached nowhere may use what it likes",
         lambda good: with_pin(good, MapPin("cilium_ipcache_v2", 99, "cilium_ipcache_", "lpm_trie", []))._replace(
             maps=[MapFacts(11, "cilium_ipcache_", "lpm_trie", [])], pins=[
                 MapPin("cilium_ipcache_v2", 99, "cilium_ipcache_", "lpm_trie", [])]), []),
    Case("nothing takes what the endpoint sends", lambda good: good._replace(attachments=good.attachments[1:]),
         [("error", "missing")], "no program takes what endpoint 1 sends at lxc1: policy is not enforced"),
    Case("something else takes it",
         lambda good: good._replace(attachments=[Attachment("lxc1", 5, "ingress", "tc", 7, 0, "other.o")]),
         [("error", "missing")], "but other.o"),
    Case("the interface of an endpoint is gone", lambda good: good._replace(devices=good.devices[:1]),
         [("error", "interface gone")], "at interface 5"),
    Case("tcx and tc, both", lambda good: with_attached(good, Attachment("lxc1", 5, "ingress", "tc", 1, 0)),
         [("error", "doubled")], "attached 2 times at lxc1 ingress: tcx id 1, tc id 1"),
    Case("a link of an interface that is gone",
         lambda good: good._replace(links=[*good.links, LinkPin("/sys/fs/bpf/x", 103, 1, 0, "tcx")]),
         [("warning", "stale link")], "/sys/fs/bpf/x"),
    Case("a cgroup's link has no interface",
         lambda good: good._replace(links=[*good.links, LinkPin("/sys/fs/bpf/x", 103, 1, 0, "cgroup")]), []),
    Case("a link that nobody pinned", lambda good: good._replace(links=good.links[:1]),
         [("warning", "link not pinned")], "its link 102"),
    Case("programs of others beside ours",
         lambda good: with_attached(good, Attachment("lxc1", 5, "ingress", "tc", 7, 0, "theirs")),
         [("note", "company")], "theirs"),
    Case("no tail calls",
         lambda good: with_pin(good, MapPin("cilium_calls_00002", 21, "cilium_calls", "prog_array", [])),
         [("error", "no tail calls")], "cilium_calls_00002"),
    Case("what could not be seen is said", lambda good: good._replace(unseen=["eth0 ingress: Operation not permitted"]),
         [("warning", "not seen")], "eth0"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_findings(case: Case) -> None:
    found = findings(case.change(GOOD))
    assert [(each.severity, each.kind) for each in found] == case.found
    assert case.said in "".join(each.text for each in found)


def test_errors_come_first() -> None:
    bad = with_attached(GOOD, Attachment("lxc1", 5, "ingress", "tc", 1, 0), Attachment("lxc1", 5, "egress", "tc", 7, 0))
    assert [each.severity for each in findings(bad._replace(links=[]))] == ["error", "warning", "warning", "note"]


def test_attachments_with_endpoint_and_pin() -> None:
    first, _ = attached(GOOD)
    assert first == ("lxc1", "ingress", "tcx", "cil_from_container", 1, 1, f"{LINKS}/cil_from_container")


def test_costs_since_load() -> None:
    by_program = {each.program: each for each in costs(GOOD)}
    first = by_program["cil_from_container"]
    assert (first.device, first.endpoint, first.runs, first.runtime_ns, first.average_ns) == ("lxc1", 1, 4, 4000, 1000)
    called = by_program["tail_handle_ipv4"]
    assert (called.device, called.endpoint, called.runs, called.average_ns) == ("", 1, 0, 0)


def test_costs_of_a_while() -> None:
    later = [program(1, "cil_from_container", runs=10, ns=7000), program(9, "cil_new", runs=1, ns=5)]
    by_program = {each.program: (each.runs, each.runtime_ns, each.average_ns) for each in costs(GOOD, later)}
    assert by_program == {"cil_from_container": (6, 3000, 500.0), "cil_new": (1, 5, 5.0)}
