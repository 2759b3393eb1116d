"""Reports: the document, the verdict, the diagnosis, the text."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cilium_py.errors import CiliumPyError
from cilium_py.health import text, verdict
from cilium_py.health.diagnosis import diagnose
from cilium_py.health.model import Addresses, NodeReport, Outcome, Path, Report
from cilium_py.health.verdict import State
from cilium_py.schema.order import natural

OK = Outcome(672_600, last_probed="2026-11-23T14:00:01Z")
LOST = Outcome(status="Connection timed out", last_probed="2026-11-23T14:00:02Z")
REFUSED = Outcome(status='Get "http://172.30.0.2:4240/hello": connection refused')
SILENT = Outcome(status='Get "http://172.30.0.2:4240/hello": no answer within 10s')
HOLE = Outcome(status="no answer to 1500 bytes", size=1500)

outcomes = st.builds(Outcome, st.integers(0, 10**11), st.text(max_size=5), st.text(max_size=5), st.integers(0, 9000))
paths = st.builds(Path, st.ip_addresses().map(str), st.none() | outcomes, st.none() | outcomes, st.none() | outcomes)
sides = st.builds(Addresses, st.none() | paths, st.lists(paths, max_size=2).map(tuple))
names = st.text("abc019/-", min_size=1, max_size=6)
node_reports = st.builds(NodeReport, names, st.none() | sides, st.none() | sides)
reports = st.builds(
    Report,
    st.just("2026-11-23T14:00:00Z"),
    st.just("1m14s"),
    names,
    st.lists(node_reports, max_size=3).map(lambda nodes: tuple(sorted(nodes, key=lambda node: natural(node.name)))),
)


def fine(ip: str) -> Path:
    return Path(ip, OK, OK, OK)


def dead(ip: str) -> Path:
    return Path(ip, LOST, SILENT)


def report(*nodes: NodeReport, local: str = "node1") -> Report:
    return Report("2026-11-23T14:00:00Z", "1m14s", local, nodes)


def node(name: str, host: list[Path], endpoint: list[Path] | None = None) -> NodeReport:
    def side(found: list[Path] | None) -> Addresses | None:
        return Addresses(found[0], tuple(found[1:])) if found else None

    return NodeReport(name, side(host), side(endpoint))


LOCAL = node("node1", [fine("172.30.0.1")], [fine("10.244.1.2")])


@given(reports)
def test_document_round_trip(found: Report) -> None:
    assert Report.read(json.loads(json.dumps(found.document()))) == found


@settings(max_examples=50)
@given(reports)
def test_every_report_can_be_told(found: Report) -> None:
    for form in (text.default, text.verbose, text.succinct, text.failing, text.matrix):
        assert list(form(found))
    named = {finding.node for finding in diagnose(found)}
    assert named <= {entry.name for entry in found.nodes} | {found.local}
    assert all(finding.cause for finding in diagnose(found))
    if verdict.exit_code(found) == verdict.SOME_UNREACHABLE:
        assert named


def test_document_is_ciliums() -> None:
    found = report(node("node2", [Path("172.30.0.2", OK, REFUSED), Path("fd30::2")], [fine("10.244.2.2")]))
    assert found.document() == {
        "local": {"name": "node1"},
        "nodes": [
            {
                "endpoint": fine("10.244.2.2").document(),
                "health-endpoint": {"primary-address": fine("10.244.2.2").document()},
                "host": {
                    "primary-address": {
                        "http": {"status": REFUSED.status},
                        "icmp": {"lastProbed": "2026-11-23T14:00:01Z", "latency": 672600},
                        "ip": "172.30.0.2",
                    },
                    "secondary-addresses": [{"ip": "fd30::2"}],
                },
                "name": "node2",
            }
        ],
        "probeInterval": "1m14s",
        "timestamp": "2026-11-23T14:00:00Z",
    }


def test_old_document_with_the_endpoint_alone() -> None:
    old = {"nodes": [{"name": "b", "endpoint": {"ip": "10.0.0.1", "icmp": {}}}], "local": None}
    found = Report.read(old)
    assert found.nodes[0].endpoint == Addresses(Path("10.0.0.1", Outcome()))


@pytest.mark.parametrize("document", [[], "text", {"nodes": [{}]}, {"nodes": [{"name": "a", "host": 7}]}, 5])
def test_not_a_report(document: object) -> None:
    with pytest.raises(CiliumPyError, match="not a health report"):
        Report.read(document)


def test_natural_order() -> None:
    names = [{"name": name} for name in ("node10", "b/node1", "node2", "node1", "a7/node2")]
    ordered = [entry.name for entry in Report.read({"nodes": names}).nodes]
    assert ordered == ["a7/node2", "b/node1", "node1", "node2", "node10"]


@pytest.mark.parametrize(
    ("path", "state"),
    [
        (None, State.UNREACHABLE),
        (Path("a"), State.UNKNOWN),
        (Path("a", OK), State.UNKNOWN),
        (Path("a", OK, OK), State.REACHABLE),
        (Path("a", OK, OK, HOLE), State.REACHABLE),
        (Path("a", LOST), State.UNREACHABLE),
        (Path("a", OK, REFUSED), State.UNREACHABLE),
    ],
)
def test_state_of_a_path(path: Path | None, state: State) -> None:
    assert verdict.of_path(path) is state


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (report(), 3),
        (report(LOCAL), 0),
        (report(LOCAL, node("node2", [Path("172.30.0.2", OK)])), 3),
        (report(LOCAL, node("node2", [Path("172.30.0.2")]), node("node3", [dead("172.30.0.3")])), 1),
        (report(LOCAL, node("node2", [Path("172.30.0.2", OK, OK, HOLE)])), 1),
    ],
)
def test_exit_code(found: Report, code: int) -> None:
    assert verdict.exit_code(found) == code


@dataclass(frozen=True)
class Case:
    name: str
    host: list[Path]
    endpoint: list[Path]
    cause: str | None


V4, V6, EP4, EP6 = "172.30.0.2", "fd30::2", "10.244.2.2", "fd10:244:0:2::2"
CASES = [
    Case("all is well", [fine(V4), fine(V6)], [fine(EP4)], None),
    Case("nothing known", [Path(V4)], [Path(EP4)], None),
    Case("down", [dead(V4), dead(V6)], [dead(EP4)], "nothing of it answers: the node is down, or the network between"),
    Case("agent down", [Path(V4, OK, REFUSED)], [fine(EP4)], "ICMP passes, HTTP is refused: the node's agent is down"),
    Case(
        "responder down", [fine(V4)], [Path(EP4, OK, REFUSED)],
        "ICMP passes, HTTP is refused: the responder of the health endpoint is down",
    ),
    Case(
        "port filtered", [Path(V4, OK, SILENT)], [fine(EP4)],
        "ICMP passes, HTTP does not: TCP port 4240 of the node is filtered, or its responder hangs",
    ),
    Case(
        "ICMP filtered", [Path(V4, LOST, OK)], [fine(EP4)],
        "HTTP passes, ICMP does not: ICMP to the node is filtered",
    ),
    Case(
        "overlay", [fine(V4), fine(V6)], [dead(EP4), dead(EP6)],
        "the node answers, its health endpoint does not: its datapath or policy, or the overlay between",
    ),
    Case(
        "host filtered", [dead(V4)], [fine(EP4)], "its endpoint answers, the node itself does not: a filter on the node"
    ),
    Case(
        "one family", [fine(V4), dead(V6)], [fine(EP4), dead(EP6)],
        "IPv6 is lost, IPv4 works: routes or filters of one family",
    ),
    Case(
        "one family, and more", [fine(V4), dead(V6)], [Path(EP4, OK, REFUSED), dead(EP6)],
        "IPv6 is lost, IPv4 works: routes or filters of one family; "
        "ICMP passes, HTTP is refused: the responder of the health endpoint is down",
    ),
    Case(
        "black hole", [Path(V4, OK, OK, HOLE)], [fine(EP4)],
        f"packets of 1500 bytes to the node vanish, small ones pass: MTU black hole on the way to {V4}",
    ),
    Case(
        "one address", [fine(V4), dead("172.31.0.2")], [fine(EP4)],
        "no answer from 172.31.0.2, others of the node answer",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_diagnosis(case: Case) -> None:
    third = node("node3", [fine("172.30.0.3")])
    found = diagnose(report(LOCAL, node("node2", case.host, case.endpoint), third))
    assert [tuple(finding) for finding in found] == ([("node2", case.cause)] if case.cause else [])


def test_diagnosis_of_the_own_link() -> None:
    others = [node(f"node{n}", [dead(f"172.30.0.{n}")], [dead(f"10.244.{n}.2")]) for n in (2, 3)]
    [finding] = diagnose(report(LOCAL, *others))
    assert tuple(finding) == ("node1", "no other node is reachable: this node's link or routes")


SHOWN = report(
    LOCAL,
    node("node2", [Path(V4, OK, REFUSED), Path(V6)], [fine(EP4)]),
    NodeReport("node10"),
)


def test_default_text() -> None:
    assert "\n".join(text.default(SHOWN)) == (
        "Cluster health:       2/3 reachable        (2026-11-23T14:00:00Z)   (Probe interval: 1m14s)\n"
        "Name                  IP                   Node                     Endpoints\n"
        "  node1 (localhost)   172.30.0.1           1/1                      1/1\n"
        "  node2               172.30.0.2,fd30::2   0/2 (1 unknown)          1/1\n"
        "  node10              Unavailable          0/0                      0/0"
    )


def test_verbose_text() -> None:
    lines = list(text.verbose(SHOWN))
    assert lines[2:7] == [
        "  node1 (localhost):",
        "    Host connectivity to 172.30.0.1:",
        "      ICMP to stack:   OK, RTT=672.6µs   (Last probed: 2026-11-23T14:00:01Z)",
        "      HTTP to agent:   OK, RTT=672.6µs   (Last probed: 2026-11-23T14:00:01Z)",
        "    Endpoint connectivity to 10.244.1.2:",
    ]
    assert lines[-3:] == ["  node10:", "    Host connectivity:       nil", "    Endpoint connectivity:   nil"]


def test_succinct_text() -> None:
    rows = [line.split() for line in text.succinct(SHOWN)]
    assert rows[1:] == [
        ["Name", "IP", "Reachable", "Endpoints", "reachable"],
        ["node1", "(localhost)", "172.30.0.1", "reachable", "reachable"],
        ["node2", "172.30.0.2", "unreachable", "reachable"],
        ["node10", "Unavailable", "none", "none"],
    ]


def test_matrix() -> None:
    rows = [line.split() for line in text.matrix(SHOWN)]
    assert rows[2][1:] == ["0.67ms", "FAIL", "?", "?", "0.67ms", "0.67ms"]
    assert rows[3][1:] == ["-"] * 6


def test_only_the_failing() -> None:
    many = report(*(node(f"node{n}", [dead(f"172.30.1.{n}")]) for n in range(1, 13)))
    lines = list(text.failing(many))
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "  ..."
    assert len(list(text.failing(report(LOCAL)))) == 1
