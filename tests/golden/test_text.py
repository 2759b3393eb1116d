"""Default text on real maps: cilium-dbg's own lines, sorted, but for what it prints wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.golden.node import run

CORPUS = Path(os.environ.get("CILIUM_PY_SHARED", CHECKOUT.parent / "shared")) / "golden"
CT = [f"cilium_ct{kind}_global" for kind in ("4", "_any4", "6", "_any6")]
POLICY = [f"cilium_policy_v2_{name}" for name in ("00005", "00123", "03001", "reserved_1")]
pytestmark = pytest.mark.usefixtures("as_root", "shared")

Lines = Callable[[list[str]], list[str]]


def same(lines: list[str]) -> list[str]:
    return lines


def without(*patterns: str) -> Lines:
    """Lines but for those that a pattern is found in; of a table, the columns are set anew."""
    return lambda lines: [re.sub(r" {2,}", "  ", line).rstrip() for line in lines
                          if not any(re.search(pattern, line) for pattern in patterns)]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "maps", "expected", "but"),
    [
        ("ct list global", CT, "ct_list_global", without("^$")),
        ("endpoint list", ["cilium_lxc"], "endpoint_list", same),
        ("ipcache list", ["cilium_ipcache_v2"], "ipcache_list", without("^<unknown>", "^invalid Prefix")),
        ("ipcache list", ["cilium_ipcache_v2~plain"], "", None),
        ("metrics list", ["cilium_metrics"], "metrics_list", without("^206", "^207", "^No device", "from world")),
        ("policy list", [*POLICY, "cilium_policystats"], "policy_list", same),
        ("policy get 5 -n", [*POLICY, "cilium_policystats"], "policy_get.00005.numeric", same),
        ("ipcache list", ["cilium_ipcache_v2~empty"], "", same),
        ("metrics list", ["cilium_metrics~empty"], "", same),
        ("endpoint list", ["cilium_lxc~empty"], "endpoint_list.empty", same),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_same_lines(command: str, maps: list[str], expected: str, but: Lines | None) -> None:
    outcome = run(CORPUS, maps, ["bpf", *command.split()])
    assert outcome.code == 0, outcome.stderr
    assert outcome.changes == {}
    if maps != CT:  # whose order is the map's own, because it streams
        assert run(CORPUS, maps, ["bpf", *command.split()]).stdout == outcome.stdout
    if but is not None:
        recorded = (CORPUS / f"expected/{expected}.stdout").read_text() if expected else ""
        assert sorted(but(outcome.stdout.splitlines())) == sorted(but(recorded.splitlines()))


def test_fragments_have_their_real_ports() -> None:
    maps = ["cilium_ipv4_frag_datagrams", "cilium_ipv6_frag_datagrams"]
    text = run(CORPUS, maps, ["bpf", "frag", "list"]).stdout
    assert re.search(r"^30918 +ICMPv6 +10\.103\.132\.55:0 +172\.24\.135\.165:25966 *$", text, re.MULTILINE)
    assert "[f00d::3b79:d73e:70d8:842b]:20480" in text


@pytest.mark.parametrize("form", ["json", "jsonl", "yaml", "csv", "table"])
@pytest.mark.parametrize(
    ("command", "maps"),
    [
        ("ct list", CT),
        ("endpoint list", ["cilium_lxc"]),
        ("frag list", ["cilium_ipv4_frag_datagrams", "cilium_ipv6_frag_datagrams"]),
        ("ipcache list", ["cilium_ipcache_v2"]),
        ("metrics list", ["cilium_metrics"]),
        ("policy list", [*POLICY, "cilium_policystats"]),
        ("policystats list", ["cilium_policystats"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_machine_forms_have_every_entry(command: str, maps: list[str], form: str) -> None:
    total = 0
    for name in maps:
        if name != "cilium_policystats" or len(maps) == 1:
            total += len(json.loads((CORPUS / f"maps/{name}.json").read_text())["entries"])
    outcome = run(CORPUS, maps, ["bpf", *command.split(), "-o", form])
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    if form == "json":
        rows = json.loads(outcome.stdout)
        assert len({tuple(row) for row in rows}) == 1
    elif form == "jsonl":
        rows = [json.loads(line) for line in lines]
    elif form == "yaml":
        import yaml

        rows = yaml.load(outcome.stdout, yaml.CSafeLoader)
    else:
        rows = lines[1:]
    assert len(rows) == total


def test_jsonpath_of_our_rows() -> None:
    arguments = ["bpf", "ipcache", "list", "-o", 'jsonpath={range [?(@.identity==777)]}{.prefix} {.flags}{"\\n"}{end}']
    assert run(CORPUS, ["cilium_ipcache_v2"], arguments).stdout == 'fd00:10:244::1234/128 ["hastunnel"]\n\n'


@pytest.mark.parametrize(
    ("arguments", "code", "changed", "said"),
    [
        ("ipcache update 10.99.1.2/24 --identity 6", 0, 1, "Updated entry 10.99.1.0/24 => identity=6"),
        ("ipcache update fd77::/64 --tunnelendpoint 172.21.0.2", 0, 1, "Updated entry fd77::/64 =>"),
        ("ipcache delete fd00:10:244::/48", 0, 1, "Deleted entry fd00:10:244::/48"),
        ("ipcache delete 10.244.3.0/24 --dry-run", 0, 0, "would delete entry 10.244.3.0/24"),
        ("ipcache delete 10.77.0.1/32 --dry-run", 1, 0, "no entry for 10.77.0.1/32"),
        ("ipcache match 10.244.3.1/24", 0, 0, "key 10.244.3.0/24 has value"),
        ("ipcache get 10.244.3.110", 0, 0, "10.244.3.110 maps to identity identity=4242"),
        ("ipcache get 10.244.3.110 --cluster-id 9", 0, 0, "10.244.3.110 maps to identity"),
        ("ipcache get 10.1.1.1 --cluster-id 77", 1, 0, "no entry of the ipcache has it"),
        ("ipcache update 10.0.0.1 10.0.0.2", 2, 0, "unexpected extra argument"),
    ],
)
def test_ipcache_does_what_is_asked(arguments: str, code: int, changed: int, said: str) -> None:
    outcome = run(CORPUS, ["cilium_ipcache_v2"], ["bpf", *arguments.split()])
    assert outcome.code == code
    assert said.lower() in (outcome.stdout + outcome.stderr).lower()
    assert sum(len(deleted) + len(put) for deleted, put in outcome.changes.values()) == changed


@pytest.mark.parametrize(
    ("arguments", "deleted", "put"),
    [
        ("add 42 ingress world 80/TCP", [], [["400000000200000000060050", "0000c00000000000"]]),
        ("add 42 egress 0 TCP --deny", [], [["300000000000000001060000", "0000410000000000"]]),
        ("add 42 ingress 2 8080-8087/tcp", [], [["3d0000000200000000061f90", "0000a80000000000"]]),
        ("add 42 ingress reserved:host", [], [["280000000100000000000000", "0000000000000000"]]),
        ("delete 5 egress 43946 TCP", ["30000000aaab000001060000"], []),
        ("delete 5 ingress 33333 0/UDP --yes", ["300000003582000000110000"], []),
        ("delete 5 ingress 33333 0/UDP --dry-run", [], []),
    ],
)
def test_policy_does_what_is_asked(arguments: str, deleted: list[str], put: list[list[str]]) -> None:
    maps = ["cilium_policy_v2_00042~empty", "cilium_policy_v2_00005", "cilium_policystats"]
    outcome = run(CORPUS, maps, ["bpf", "policy", *arguments.split()])
    assert outcome.code == 0, outcome.stderr
    changes = [*outcome.changes.values()] or [([], [])]
    assert changes == [(deleted, put)]


@pytest.mark.parametrize("arguments", ["add 42 ingress 1 http/tcp", "add 42 ingress 1 80-90", "add 5", "delete 42 x 1"])
def test_policy_refuses_what_makes_no_sense(arguments: str) -> None:
    outcome = run(CORPUS, ["cilium_policy_v2_00042~empty"], ["bpf", "policy", *arguments.split()])
    assert (outcome.code == 2) == ("80-90" not in arguments)


def test_a_layout_that_is_not_known_is_said() -> None:
    outcome = run(CORPUS, ["cilium_ipcache_v2~v1size"], ["bpf", "ipcache", "list"])
    assert outcome.code == 1
    assert "key and value are 24/12 bytes, known are 24/24 (1.19), 24/24 (1.18)" in outcome.stderr


def test_the_old_policy_layout_is_read() -> None:
    maps = ["cilium_policy_00123~v115", "cilium_policy_v2_00123", "cilium_policystats"]
    outcome = run(CORPUS, maps, ["bpf", "policy", "list", "-o", "jsonl"])
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout


def test_one_missing_map_loses_nothing() -> None:
    outcome = run(CORPUS, ["cilium_ct4_global"], ["bpf", "ct", "list", "global", "-o", "json"])
    assert outcome.code == 0
    assert len(json.loads(outcome.stdout)) == 65


def test_a_node_without_maps() -> None:
    outcome = run(CORPUS, [], ["bpf", "ct", "list"])
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines()[0].startswith("error: /sys/fs/bpf/tc/globals/cilium_ct4_global: no such map")
    assert len(outcome.stderr.splitlines()) == 2


def test_without_being_root() -> None:
    outcome = run(CORPUS, CT, ["bpf", "ct", "list"], {"uid": 65534})
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "run as root" in outcome.stderr


def test_flush_takes_the_mappings_along() -> None:
    maps = [*CT, "cilium_snat_v4_external"]
    dry = run(CORPUS, maps, ["bpf", "ct", "flush", "global", "--dry-run"])
    assert dry.changes == {}
    assert "Would flush 65 entries from /sys/fs/bpf/tc/globals/cilium_ct4_global" in dry.stdout
    wet = run(CORPUS, maps, ["bpf", "ct", "flush", "global"])
    assert "Flushed 65 entries from /sys/fs/bpf/tc/globals/cilium_ct4_global" in wet.stdout
    assert len(wet.changes["cilium_snat_v4_external"][0]) == 4


def test_remaining_seconds() -> None:
    """By the clock that is named; without that and without a word of the agent, by CLOCK_MONOTONIC."""
    for clock in (["--time-diff-clocksource-mode", "ktime"], []):
        rows = json.loads(
            run(CORPUS, CT, ["bpf", "ct", "list", "-d", *clock, "-o", "json"], {"monotonic": 1000000}).stdout
        )
        assert all(abs(row["remaining"] - (row["expires"] - 1000000)) <= 1 for row in rows)
