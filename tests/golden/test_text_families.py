"""Default text of the families that definitions alone describe: cilium-dbg's lines, sorted, but for wrong ones."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.golden.node import run
from tests.golden.test_text import CORPUS, Lines, same, without

pytestmark = pytest.mark.usefixtures("as_root", "shared")


def both(*names: str) -> list[str]:
    """cilium_lb{}_x -> its IPv4 and its IPv6 pin."""
    return [f"cilium_{name.format(family)}" for name in names for family in (4, 6)]


SERVICES = both("lb{}_services_v2", "lb{}_backends_v3")
NAT = both("snat_v{}_external")
AGENT = {
    "monotonic": 1_000_000,
    "files": {"/run/cilium/state/agent-runtime-config.json": '{"ClockSource": 0}'},
}
TABLES = [
    ("auth list", ["cilium_auth_map"], "auth_list", same),
    ("bandwidth list", ["cilium_throttle"], "bandwidth_list", without("^12 ", "^14 ", "^65535 +Ingress")),
    ("config list", ["cilium_runtime_config"], "config_list", without("^5 ")),
    ("egress list", both("egress_gw_policy_v{}"), "egress_list", without("^10.1.2.3 ")),
    ("ipmasq list", both("ipmasq_v{}"), "ipmasq_list", same),
    ("lb list", SERVICES, "lb_list", same),
    ("lb list --frontends", both("lb{}_services_v2"), "lb_list_frontends", same),
    ("lb list --revnat", both("lb{}_reverse_nat"), "lb_list_revnat", without("^907 ", "^0 ", "^65535 ", "^ ")),
    ("lb list --source-ranges", both("lb{}_source_range"), "lb_list_source_ranges", same),
    ("lb maglev list", both("lb{}_maglev"), "lb_maglev_list", same),
    ("lb maglev get 2", both("lb{}_maglev"), "lb_maglev_get.2", same),
    ("multicast group list", ["cilium_mcast_group_outer_v4_map"], "multicast_group_list", same),
    ("multicast subscriber list all", ["cilium_mcast_group_outer_v4_map"], "multicast_subscriber_list_all", same),
    ("nat retries list", both("snat_v{}_alloc_retries"), "nat_retries_list", same),
    ("nodeid list", ["cilium_node_map_v2"], "nodeid_list", same),
    ("recorder list", both("capture{}_rules"), "recorder_list", without("^$")),
    ("srv6 policy", both("srv6_policy_v{}"), "srv6_policy", same),
    ("srv6 sid", ["cilium_srv6_sid"], "srv6_sid", same),
    ("srv6 vrf", both("srv6_vrf_v{}"), "srv6_vrf", same),
    ("vtep list", ["cilium_vtep_map"], "vtep_list", same),
]


@pytest.mark.parametrize(("command", "maps", "expected", "but"), TABLES, ids=[table[0] for table in TABLES])
def test_same_lines(command: str, maps: list[str], expected: str, but: Lines) -> None:
    outcome = run(CORPUS, maps, ["bpf", *command.split()])
    assert (outcome.code, outcome.changes) == (0, {}), outcome.stderr
    recorded = (CORPUS / f"expected/{expected}.stdout").read_text()
    assert sorted(but(outcome.stdout.splitlines())) == sorted(but(recorded.splitlines()))
    assert run(CORPUS, maps, ["bpf", *command.split()]).stdout == outcome.stdout, "another order"


def test_translations_with_their_ages() -> None:
    outcome = run(CORPUS, NAT, ["bpf", "nat", "list"], AGENT)
    recorded = (CORPUS / "expected/nat_list.stdout").read_text()
    assert sorted(outcome.stdout.splitlines()) == sorted(filter(None, recorded.splitlines()))
    rows = json.loads(run(CORPUS, NAT, ["bpf", "nat", "list", "-o", "json"], AGENT).stdout)
    assert len(rows) == 120, "the entries without a protocol too"
    assert all(row["created"] + row["age"] == 1_000_000 for row in rows if row["created"] < 1 << 63)


def test_backends_have_their_ports_and_zones() -> None:
    text = run(CORPUS, SERVICES, ["bpf", "lb", "backends", "list"]).stdout
    assert "TCP://44.234.161.85:30000[255]" in text
    assert "TCP://[2001:db8::1:0:0:1]:18441@255" in text


@pytest.mark.parametrize(("command", "maps", "_expected", "_but"), TABLES, ids=[table[0] for table in TABLES])
def test_machine_forms_agree(command: str, maps: list[str], _expected: str, _but: Lines) -> None:
    rows = json.loads(run(CORPUS, maps, ["bpf", *command.split(), "-o", "json"]).stdout)
    table = list(csv.reader(io.StringIO(run(CORPUS, maps, ["bpf", *command.split(), "-o", "csv"]).stdout)))
    assert rows
    assert table[0] == list(rows[0])
    assert len(table) == len(rows) + 1


OTHERS = {
    "calls list": ["cilium_call_policy"],
    "encrypt list": ["cilium_encrypt_state"],
    "l2responder list": ["cilium_l2_responder_v4"],
    "lb active list": ["cilium_lb_act"],
    "lb affinity list": both("lb{}_affinity"),
    "lb affinity-match list": ["cilium_lb_affinity_match"],
    "lb skip list": both("skip_lb{}"),
    "neighbours list": both("nodeport_neigh{}"),
    "prefilter list": both("cidr_v{}_dyn", "cidr_v{}_fix"),
    "ratelimit list": ["cilium_ratelimit"],
    "ratelimit metrics list": ["cilium_ratelimit_metrics"],
    "socknat list": both("lb{}_reverse_sk"),
    "tunnel list": ["cilium_tunnel_map"],
}


@pytest.mark.parametrize("command", OTHERS)
def test_maps_that_cilium_dbg_cannot_list(command: str) -> None:
    """A line for each entry, below the titles."""
    maps = OTHERS[command]
    entries = sum(len(json.loads((CORPUS / f"maps/{name}.json").read_text())["entries"]) for name in maps)
    outcome = run(CORPUS, maps, ["bpf", *command.split()])
    assert (outcome.code, outcome.changes) == (0, {}), outcome.stderr
    assert len(outcome.stdout.splitlines()) == 1 + entries
    assert len(json.loads(run(CORPUS, maps, ["bpf", *command.split(), "-o", "json"]).stdout)) == entries
