"""Filters: each alone, negated, as alternatives, joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cilium_py.cli.monitor import _negated
from cilium_py.errors import WrongUsage
from cilium_py.monitor import names
from cilium_py.monitor.dissect import Dissector
from cilium_py.monitor.events import decode, packet_of
from cilium_py.monitor.filters import Filters
from cilium_py.monitor.labels import Names
from tests.unit.monitor.packets import arp, debug, drop, ether, ipv4, ipv6, tcp, trace, udp, verdict, vxlan

KNOWN = Names(_labels={256: ("k8s:app=web",)}, _missing=False)

EVENTS = {
    "from": trace(point=5),
    "to": trace(point=0, to=12, source=2, destination=256),
    "proxy": trace(point=1, to=10080),
    "dns": trace(ether(ipv4(udp(), 17, destination="10.0.7.7"), 0x0800)),
    "six": trace(ether(ipv6(tcp(), 6), 0x86DD), source=300, destination=301),
    "arp": drop(ether(arp(), 0x0806), reason=150),
    "denied": drop(),
    "verdict": verdict(verdict=-133, flags=1, remote=256),
    "allowed": verdict(flags=2, remote=300),
    "tunnel": trace(ether(ipv4(vxlan(ether(ipv4(tcp(), 6, "10.1.0.1", "10.1.0.2"))), 17)), source=300, destination=301),
    "debug": debug(1),
}  # fmt: skip


def shown(filters: Filters) -> set[str]:
    dissector = Dissector()
    found = set()
    for name, data in EVENTS.items():
        event = decode(data)
        wanted = filters.kinds is None or event.kind in filters.kinds
        # Twice: what was remembered of the first time counts like it.
        answers = {filters.passes(event, packet_of(event, data, dissector)) for _ in range(2)}
        assert len(answers) == 1
        if wanted and answers == {True}:
            found.add(name)
    return found


@dataclass(frozen=True)
class Case:
    name: str
    apply: Callable[[Filters], None]
    shown: str


CASES = [
    Case("nothing", lambda _: None, " ".join(EVENTS)),
    Case("drops", lambda f: f.by_kind(["drop"]), "arp denied"),
    Case("no traces", lambda f: f.by_kind(["!trace"]), "arp denied verdict allowed debug"),
    Case("from endpoint", lambda f: f.by_endpoint(["11"], "from"),
         "from to proxy dns six arp denied allowed tunnel debug"),
    Case("to endpoint", lambda f: f.by_endpoint(["12", "11"], "to"), "to verdict"),
    Case("the port of a proxy is no endpoint", lambda f: f.by_endpoint(["10080"], "related"), ""),
    Case("not from endpoint", lambda f: f.by_endpoint(["!11"], "related"), ""),
    Case("reserved identity", lambda f: f.by_identity(["world"], "from", KNOWN), "to"),
    Case("identity", lambda f: f.by_identity(["256"], "to", KNOWN), "to"),
    Case("label", lambda f: f.by_identity(["app=web"], "from", KNOWN), "from proxy dns arp denied verdict"),
    Case("whole label", lambda f: f.by_identity(["k8s:app=web"], "to", KNOWN), "to"),
    Case("dropped", lambda f: f.by_verdict(["dropped"]), "arp denied verdict"),
    Case("redirected", lambda f: f.by_verdict(["redirected"]), "proxy"),
    Case("not forwarded", lambda f: f.by_verdict(["!forwarded"]), "proxy arp denied verdict debug"),
    Case("reason", lambda f: f.by_drop_reason(["policy denied"]), "denied verdict"),
    Case("reason by number", lambda f: f.by_drop_reason(["150"]), "arp"),
    Case("any reason but", lambda f: (f.by_verdict(["dropped"]), f.by_drop_reason(["!133"]))[0], "arp"),
    Case("cidr", lambda f: f.by_address(["10.0.7.0/24"], "to"), "dns"),
    Case("not a cidr", lambda f: (f.by_kind(["drop"]), f.by_address(["!10.0.0.2"], "to"))[0], ""),
    Case("address of an ARP packet", lambda f: (f.by_kind(["drop"]), f.by_address(["10.0.0.2"], "to"))[0],
         "arp denied"),
    Case("IPv6", lambda f: f.by_address(["fd00::/8"], "either"), "six"),
    Case("every IPv4", lambda f: f.by_address(["0.0.0.0/0"], "from"),
         "from to proxy dns arp denied verdict allowed tunnel"),
    Case("in a tunnel", lambda f: f.by_address(["10.1.0.2"], "to"), "tunnel"),
    Case("port", lambda f: f.by_port(["53"], "to"), "dns"),
    Case("port range", lambda f: f.by_port(["8000-9000"], "to"), "tunnel"),
    Case("not a port", lambda f: f.by_port(["!80", "!53"], "to"), "arp"),
    Case("protocol", lambda f: f.by_protocol(["udp"]), "dns tunnel"),
    Case("protocol by number", lambda f: f.by_protocol(["17", "arp"]), "dns tunnel arp"),
    Case("joined", lambda f: (f.by_kind(["trace"]), f.by_protocol(["tcp"]), f.by_endpoint(["12"], "to"))[0], "to"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_filter(case: Case) -> None:
    filters = Filters()
    case.apply(filters)
    assert shown(filters) == set(case.shown.split())


@pytest.mark.parametrize("apply", [
    lambda f: f.by_kind(["drops"]),
    lambda f: f.by_endpoint(["70000"], "from"),
    lambda f: f.by_identity(["nobody"], "from", KNOWN),
    lambda f: f.by_verdict(["maybe"]),
    lambda f: f.by_drop_reason(["Policy denyed"]),
    lambda f: f.by_address(["10.0.0.0/40"], "from"),
    lambda f: f.by_port(["1-x"], "from"),
    lambda f: f.by_protocol(["carrier-pigeon"]),
])  # fmt: skip
def test_what_cannot_be_meant(apply: Callable[[Filters], None]) -> None:
    with pytest.raises(WrongUsage):
        apply(Filters())


def test_a_misspelt_reason_is_put_right() -> None:
    with pytest.raises(WrongUsage) as caught:
        Filters().by_drop_reason(["Policy denyed"])
    assert caught.value.hint == "did you mean 'Policy denied'?"


@pytest.mark.parametrize(("given", "meant"), [
    (["--not", "--port", "53"], ["--port", "!53"]),
    (["--not", "--port=53", "-j"], ["--port", "!53", "-j"]),
    (["-j", "--not", "-t", "trace"], ["-j", "-t", "!trace"]),
])  # fmt: skip
def test_not(given: list[str], meant: list[str]) -> None:
    assert list(_negated(given)) == meant


def test_not_needs_a_filter() -> None:
    with pytest.raises(WrongUsage):
        list(_negated(["--not", "-j"]))


def test_kinds_are_all_known() -> None:
    assert set(names.KIND_NAMES) == set(names.KINDS.values())
