"""A node saved while it lives: whatever shows its state says the same of the snapshot; and its lists are watched."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cilium_py.lab import Lab, build, command, teardown
from tests.netns.conftest import Cilium, cilium_on

RULES = [{
    "endpointSelector": {"matchLabels": {"pod": "pod2"}},
    "ingress": [{"fromEndpoints": [{"matchLabels": {"pod": "pod1"}}], "toPorts": [{"ports": [{"port": "80"}]}]}],
    "egress": [{"toCIDR": ["192.0.2.0/24"]}],
    "labels": ["web"],
}]  # fmt: skip
SHOWS = [
    "endpoint list", "endpoint list -o json", "endpoint get 1", "endpoint log 1", "endpoint health 2",
    "endpoint config 1", "endpoint labels 1", "endpoint list --where 'status == ready' --columns endpoint,identity",
    "identity list", "identity list --endpoints", "identity get 256", "node list", "node list -o csv", "policy list",
    "policy get", "policy get 2", "policy selectors", "status", "status -o json", "health endpoint status",
    "bpf sha list", "bpf map list", "bpf map pressure --limit 2", "bpf calls list", "--compat endpoint list -o json",
    "--compat policy get 2 -o json",
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = build.up(Lab.planned(2, 2))
    cilium = cilium_on(made, "node1")
    rules = tmp_path_factory.mktemp("rules") / "rules.json"
    rules.write_text(json.dumps(RULES))
    cilium("policy", "import", str(rules))
    cilium("health", "endpoint", "add")
    yield made
    teardown.down(made.root)


@pytest.fixture(scope="module")
def cilium(lab: Lab) -> Cilium:
    return cilium_on(lab, "node1")


@pytest.fixture(scope="module")
def snapshot(cilium: Cilium, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("saved") / "node1.snap"
    cilium("snapshot", "save", str(target))
    return str(target)


@pytest.mark.parametrize("words", SHOWS)
def test_it_says_the_same(words: str, cilium: Cilium, snapshot: str) -> None:
    live = cilium(*shlex.split(words), check=False)
    then = cilium("--from", snapshot, *shlex.split(words), check=False)
    assert live.returncode == 0
    assert (then.returncode, then.stdout, then.stderr) == (0, live.stdout, live.stderr)


def test_nothing_of_it_touches_the_node(cilium: Cilium, snapshot: str) -> None:
    before = cilium("endpoint", "log", "1").stdout
    for words in ("endpoint regenerate 1", "endpoint delete 1 --yes", "policy delete --all --yes", "node remove --yes"):
        refused = cilium("--from", snapshot, *words.split(), check=False)
        assert refused.returncode == 2, words
        assert "needs a live node" in refused.stderr
    assert cilium("endpoint", "log", "1").stdout == before


def test_a_diff_against_the_node(cilium: Cilium, snapshot: str) -> None:
    assert "endpoints" not in cilium("snapshot", "diff", snapshot).stdout
    cilium("endpoint", "config", "1", "Debug=enable")
    cilium("endpoint", "labels", "1", "-a", "tier=back")
    changed = cilium("snapshot", "diff", snapshot, "--where", "map in (endpoints, identities)").stdout
    assert "~ endpoints: 1 " in changed
    assert "container:tier=back" in changed
    cilium("endpoint", "labels", "1", "-d", "tier=back")


def test_a_list_is_watched(lab: Lab, cilium: Cilium) -> None:
    words = ("endpoint", "watch", "--interval", "50ms", "--endpoint", "2", "-o", "jsonl")
    watching = subprocess.Popen(
        [sys.executable, "-m", "cilium_py", *words],
        env={**os.environ, **command.environment(lab, "node1")}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        time.sleep(1)
        cilium("endpoint", "config", "2", "EgressEnforcement=enable")
        assert watching.stdout is not None
        seen = [json.loads(watching.stdout.readline())]
        while seen[-1]["status"] != "ready":
            seen.append(json.loads(watching.stdout.readline()))
        assert {(each["event"], each["endpoint"]) for each in seen} == {("changed", 2)}
    finally:
        watching.terminate()
        watching.communicate()
