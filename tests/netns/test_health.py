"""Health between three nodes: what is reported, and which cause is named, when something breaks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.health import endpoint, pidfile, verdict
from cilium_py.health.client import Client, NoProber, own_socket
from cilium_py.health.diagnosis import diagnose
from cilium_py.health.model import Report
from cilium_py.health.verdict import State
from cilium_py.lab import Lab, build, command, health, teardown
from cilium_py.node.entries import IPCACHE_MAP
from cilium_py.schema import duration
from tests.netns.conftest import cilium_on
from tests.terminal import Terminal

QUICK = ("--base-interval", "200ms", "--deadline", "500ms", "--refresh", "100ms")
PATIENCE = ("--check", "200ms", "--patience", "500ms")
SECONDS = 15.0
"""Many rounds: longer than anything here takes unless it is broken."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Lab]:
    """Three nodes, each with a health endpoint and a prober; node3's loses its patience soon."""
    made = build.up(Lab.planned(3, 0))
    try:
        health.start(made, *QUICK)
        restart(made, "node3", *PATIENCE)
        yield made
    finally:
        namespaces = [command.namespace(made, node) for node in made.node_names]
        teardown.down(made.root)
    assert not any(namespace.exists() for namespace in namespaces)
    assert not list(Path("/run/netns").iterdir())


def restart(lab: Lab, node: str, *options: str) -> None:
    pidfile.end(lab.paths(node).state_dir / "health.pid")
    cilium_on(lab, node)("health", "run", "--detach", *QUICK, *options)


def report(lab: Lab, node: str) -> Report:
    return Client(own_socket(lab.paths(node))).status()


def findings(lab: Lab, node: str) -> dict[str, str]:
    return {finding.node: finding.cause for finding in diagnose(report(lab, node))}


def is_well(lab: Lab) -> bool:
    return all(verdict.exit_code(report(lab, node)) == verdict.ALL_REACHABLE for node in lab.node_names)


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def well(nodes: Lab) -> Iterator[None]:
    """Before and after each case, everybody reaches everybody."""
    until(lambda: is_well(nodes), "all is reachable before")
    yield
    until(lambda: is_well(nodes), "all is reachable again")


@contextlib.contextmanager
def filtered(lab: Lab, node: str, *rules: str) -> Iterator[None]:
    """With nftables rules on what the node gets and forwards."""
    lines = ["add table inet test"]
    for hook in ("input", "forward"):
        lines.append(f"add chain inet test {hook} {{ type filter hook {hook} priority 0; }}")
        lines += [f"add rule inet test {hook} {rule} drop" for rule in rules]
    done = command.run(lab, node, ["nft", "; ".join(lines)])
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        command.run(lab, node, ["nft", "delete", "table", "inet", "test"])


def test_everybody_reaches_everybody(nodes: Lab) -> None:
    for node in nodes.node_names:
        found = report(nodes, node)
        assert [entry.name for entry in found.nodes] == ["node1", "node2", "node3"]
        assert found.local == node
        legs = list(found.legs())
        assert len(legs) == 12
        assert all(verdict.of_path(leg.path) is State.REACHABLE for leg in legs)
        assert diagnose(found) == []
    until(
        lambda: all(leg.path.mtu is not None and leg.path.mtu.size == 1500 for leg in report(nodes, "node1").legs()),
        "large packets pass",
    )


def test_commands(nodes: Lab) -> None:
    cilium = cilium_on(nodes, "node1")
    first, titles, own, *others = cilium("health", "status").stdout.splitlines()
    assert first.startswith("Cluster health:")
    assert "3/3 reachable" in first
    assert titles.split() == ["Name", "IP", "Node", "Endpoints"]
    assert own.split() == ["node1", "(localhost)", "172.30.0.1,fd30::1", "2/2", "2/2"]
    assert [line.split()[0] for line in others] == ["node2", "node3"]
    assert cilium("health", "ping").stdout == "OK\n"
    assert "Daemon uptime:" in cilium("health", "get").stdout
    assert len(cilium("health", "history", "-o", "jsonl").stdout.splitlines()) == 24
    assert "ENDPOINT2 HTTP" in cilium("health", "status", "--matrix").stdout
    assert "Secondary Endpoint connectivity to" in cilium("health", "status", "--verbose").stdout


def test_status_of_the_node_includes_it(nodes: Lab) -> None:
    cilium = cilium_on(nodes, "node1")
    own, cluster = cilium("status").stdout.splitlines()[-2:]
    assert (own, cluster.partition(" (")[0].rstrip()) == ("Node health:      OK", "Cluster health:   3/3 reachable")
    document = json.loads(cilium("status", "-o", "json").stdout)
    assert [entry["name"] for entry in document["cluster_health"]["nodes"]] == ["node1", "node2", "node3"]
    [own] = json.loads(cilium("endpoint", "health", "-o", "json", "pod-name:cilium-health").stdout)
    assert own["overall"] == "OK"
    assert [path["icmp"].get("status", "") for path in own["probes"]] == ["", ""]
    assert cilium("endpoint", "health", "pod-name:cilium-health").stdout.count("ICMP to ") == 2


@pytest.mark.parametrize("output", ["text", "jsonl"])
def test_watch_goes_on(nodes: Lab, output: str) -> None:
    words = ("health", "status", "--watch", "--every", "50ms", "--succinct", "-o", output)
    with command.spawn(nodes, "node1", endpoint.own_command(nodes.paths("node1"), *words)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(30)]
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == verdict.ALL_REACHABLE
    if output == "text":
        assert sum(line.startswith("Cluster health:") for line in lines) == 5
    else:
        assert [json.loads(line)["ip"] for line in lines[:12]] == [json.loads(line)["ip"] for line in lines[12:24]]


def test_watch_at_a_terminal(nodes: Lab, terminal: Callable[..., Terminal]) -> None:
    """In one place, which is given back while the view is suspended and at its end."""
    shown = terminal()
    shown.type(*endpoint.own_command(nodes.paths("node1"), "health", "status", "--watch", "--succinct"))
    assert shown.shows("Cluster health:", "node3", "q quit").count("Cluster health:") == 1
    shown.press("C-z")
    shown.shows("ready>", "ended 148")
    assert shown.is_given_back
    shown.type("fg")
    shown.shows("node3", "q quit")
    shown.press("q")
    shown.shows(f"ended {verdict.ALL_REACHABLE}")
    assert shown.is_given_back


def test_watch_at_a_terminal_that_cannot_be_drawn_on(nodes: Lab, terminal: Callable[..., Terminal]) -> None:
    shown = terminal(term="dumb")
    shown.type(*endpoint.own_command(nodes.paths("node1"), "health", "status", "--watch", "--every", "100ms"))
    shown.shows("Cluster health:", "node3")
    assert shown.is_given_back
    shown.press("C-c")
    shown.shows(f"ended {verdict.ALL_REACHABLE}")


def test_metrics(nodes: Lab) -> None:
    restart(nodes, "node2", "--metrics", "9962")
    until(lambda: is_well(nodes), "all is known again")
    with command.namespace(nodes, "node2").entered():
        connection = http.client.HTTPConnection("127.0.0.1", 9962, timeout=5)
        connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    source = 'source_cluster="default",source_node_name="node2",status="reachable"'
    assert f'cilium_node_health_connectivity_status{{{source},type="endpoint"}} 6\n' in text
    assert f'cilium_node_health_connectivity_status{{{source},type="node"}} 6\n' in text
    assert "cilium_node_health_connectivity_latency_seconds_bucket" in text


def test_identities_of_health_endpoints_are_known_everywhere(nodes: Lab) -> None:
    listed = cilium_on(nodes, "node1")("bpf", "ipcache", "list", "-o", "jsonl").stdout
    for node in ("node2", "node3"):
        for address in endpoint.required(nodes.paths(node)).addresses:
            [line] = [line for line in listed.splitlines() if f'"{address}/' in line]
            assert '"identity": 4' in line, IPCACHE_MAP


def test_responder_of_the_endpoint_is_killed(nodes: Lab) -> None:
    responder = pidfile.owner(endpoint.pid_path(nodes.paths("node2")))
    assert responder is not None
    os.kill(responder, signal.SIGKILL)
    cause = "ICMP passes, HTTP is refused: the responder of the health endpoint is down"
    until(lambda: findings(nodes, "node1") == {"node2": cause}, "node1 names the cause")
    assert cilium_on(nodes, "node1")("health", "status", check=False).returncode == verdict.SOME_UNREACHABLE
    cilium_on(nodes, "node2")("health", "endpoint", "add")


def test_endpoint_that_stays_unreachable_is_launched_anew(nodes: Lab) -> None:
    paths = nodes.paths("node3")
    responder, before = pidfile.owner(endpoint.pid_path(paths)), endpoint.required(paths)
    assert responder is not None
    os.kill(responder, signal.SIGKILL)
    until(lambda: pidfile.owner(endpoint.pid_path(paths)) not in (None, responder), "another responder runs")
    until(lambda: endpoint.status(paths).state == "ready", "the endpoint is ready")
    assert endpoint.required(paths) == before


def test_icmp_is_filtered(nodes: Lab) -> None:
    with filtered(nodes, "node2", "icmp type echo-request", "icmpv6 type echo-request"):
        until(
            lambda: "HTTP passes, ICMP does not" in findings(nodes, "node1").get("node2", ""), "node1 names the cause"
        )
        until(lambda: set(findings(nodes, "node1")) == {"node2"}, "and only node2")


def test_health_port_is_filtered(nodes: Lab) -> None:
    with filtered(nodes, "node2", "tcp dport 4240"):
        until(lambda: "TCP port 4240" in findings(nodes, "node1").get("node2", ""), "node1 names the cause")


def test_link_is_down(nodes: Lab) -> None:
    command.run(nodes, "world", ["ip", "link", "set", "node3", "down"])
    try:
        until(lambda: findings(nodes, "node1").get("node3", "").startswith("nothing of it answers"), "node3 is lost")
        until(
            lambda: findings(nodes, "node3") == {"node3": "no other node is reachable: this node's link or routes"},
            "node3 knows that it is its own fault",
        )
        assert set(findings(nodes, "node1")) == {"node3"}
    finally:
        command.run(nodes, "world", ["ip", "link", "set", "node3", "up"])


def test_policy_denies_the_probes(nodes: Lab) -> None:
    cilium = cilium_on(nodes, "node2")
    number = str(endpoint.required(nodes.paths("node2")).id)
    cilium("endpoint", "config", number, "IngressEnforcement=enable")
    try:
        cause = "the node answers, its health endpoint does not: its datapath or policy, or the overlay between"
        until(lambda: findings(nodes, "node1") == {"node2": cause}, "node1 names the cause")
        row = cilium_on(nodes, "node1")("health", "status", check=False).stdout.splitlines()[3]
        assert row.split()[2:] == ["2/2", "0/2"]
    finally:
        cilium("endpoint", "config", number, "IngressEnforcement=disable")


def test_rule_denies_the_probes_of_other_nodes(nodes: Lab, tmp_path: Path) -> None:
    rule = {
        "endpointSelector": {"matchLabels": {endpoint.LABEL: ""}},
        "ingress": [{"fromEntities": ["all"]}],
        "ingressDeny": [{"fromEntities": ["remote-node"]}],
    }
    (tmp_path / "rules.json").write_text(json.dumps([rule]))
    cilium = cilium_on(nodes, "node2")
    cilium("policy", "import", str(tmp_path / "rules.json"))
    try:
        for node in ("node1", "node3"):
            until(lambda node=node: set(findings(nodes, node)) == {"node2"}, f"{node} is denied")
        assert findings(nodes, "node2") == {}
    finally:
        cilium("policy", "delete", "--all")


def test_one_family_is_lost(nodes: Lab) -> None:
    with filtered(nodes, "node2", "icmpv6 type echo-request", "meta nfproto ipv6 tcp dport 4240"):
        until(
            lambda: findings(nodes, "node1")
            == {"node2": "IPv6 is lost, IPv4 works: routes or filters of one family"},
            "node1 names the cause",
        )  # fmt: skip


def test_large_packets_vanish(nodes: Lab) -> None:
    with filtered(nodes, "node2", "ip length > 1400", "ip6 length > 1360"):
        until(lambda: "MTU black hole" in findings(nodes, "node1").get("node2", ""), "node1 names the cause")
        found = report(nodes, "node1")
        assert verdict.exit_code(found) == verdict.SOME_UNREACHABLE
        assert all(verdict.of_path(leg.path) is State.REACHABLE for leg in found.legs())


def test_a_smaller_mtu_that_is_known_is_no_black_hole(nodes: Lab) -> None:
    words = ["ip", "route", "replace", "172.30.0.3/32", "dev", "eth0", "mtu", "1300"]
    assert command.run(nodes, "node1", words).returncode == 0
    try:
        sizes = lambda: {leg.path.ip: leg.path.mtu.size for leg in report(nodes, "node1").legs() if leg.path.mtu}  # noqa: E731
        until(lambda: sizes()["172.30.0.3"] == 1300, "what is sent fits")
        assert findings(nodes, "node1") == {}
    finally:
        command.run(nodes, "node1", ["ip", "route", "del", "172.30.0.3/32"])


def test_node_is_added_and_removed_meanwhile(nodes: Lab) -> None:
    cilium = cilium_on(nodes, "node1")
    cilium("node", "add", "node10", "--ip", "172.30.0.99")
    try:
        for node in nodes.node_names:
            until(lambda node=node: report(nodes, node).nodes[-1].name == "node10", f"{node} knows node10")
            until(lambda node=node: "node10" in findings(nodes, node), f"{node} does not reach node10")
        assert "172.30.0.99/32" in cilium("bpf", "ipcache", "list").stdout
    finally:
        cilium("node", "delete", "node10", "--yes")
    for node in nodes.node_names:
        until(lambda node=node: len(report(nodes, node).nodes) == 3, f"{node} has forgotten node10")
    assert "172.30.0.99/32" not in cilium("bpf", "ipcache", "list").stdout


def test_prober_is_killed_and_started_again(nodes: Lab) -> None:
    paths, cilium = nodes.paths("node1"), cilium_on(nodes, "node1")
    prober = pidfile.owner(paths.state_dir / "health.pid")
    assert prober is not None
    os.kill(prober, signal.SIGKILL)
    until(lambda: pidfile.owner(paths.state_dir / "health.pid") is None, "it is gone")
    with pytest.raises(NoProber):
        report(nodes, "node1")
    gone = cilium("health", "status", check=False)
    assert gone.returncode == 1
    assert "no prober is running" in gone.stderr
    alone = cilium("health", "status", "--probe", "--timeout", "2s", check=False)
    # Without the prober, nobody answers at the node's own addresses.
    assert "node1: ICMP passes, HTTP is refused: the node's agent is down" in alone.stdout
    cilium("health", "run", "--detach", *QUICK)
    until(lambda: is_well(nodes), "all is known again")
    assert pidfile.owner(paths.state_dir / "health.pid") != prober
    second = cilium("health", "run", check=False)
    assert second.returncode == 1
    assert "runs already" in second.stderr


def test_probe_now(nodes: Lab) -> None:
    client = Client(own_socket(nodes.paths("node1")))
    before = client.status()
    time.sleep(1.1)  # a timestamp is of whole seconds
    started = time.monotonic()
    found = client.probe(2.0)
    assert time.monotonic() - started < 2.0
    assert found.timestamp > before.timestamp
    assert verdict.exit_code(found) == verdict.ALL_REACHABLE
    assert duration.seconds(found.interval) == pytest.approx(0.2 * 2.565, abs=0.01)


def test_what_is_private_is_private(nodes: Lab) -> None:
    for path in (
        own_socket(nodes.paths("node1")),
        nodes.paths("node1").state_dir / "health.pid",
        nodes.roster / "nodes.json",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.parametrize("milliseconds", [120, 180, 240, 300, 400])
def test_add_of_the_endpoint_is_cut_short(nodes: Lab, milliseconds: int) -> None:
    """Killed anywhere, it can be asked for again; and what it left can be deleted."""
    paths, cilium = nodes.paths("node2"), cilium_on(nodes, "node2")
    before = endpoint.required(paths)
    cilium("health", "endpoint", "delete", "--yes")
    assert not before.namespace.exists()
    assert command.run(nodes, "node2", ["ip", "link", "show", endpoint.HOST_INTERFACE]).returncode != 0
    process = command.spawn(nodes, "node2", endpoint.own_command(paths, "health", "endpoint", "add"))
    time.sleep(milliseconds / 1000)
    process.kill()
    process.communicate()
    with contextlib.suppress(CiliumPyError):
        if milliseconds % 120 == 0:
            endpoint.delete(paths)
            assert not before.namespace.exists()
    made = endpoint.add(paths)
    assert endpoint.status(paths).responder is not None
    assert made.identity == 4
