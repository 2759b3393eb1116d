"""The monitor beside real traffic: who talked to whom, by label and interface, and why a packet was dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from cilium_py.endpoint import store
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.lab import Lab, command
from tests.netns.conftest import running
from tests.netns.traffic import BRIEF, ping, tcp, udp

DENIED = 133


class Listening:
    """`cilium-py monitor -j` about a node, in the background."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cilium_py", "monitor", "-j", *arguments],
            env={**os.environ, **command.environment(lab, "node1")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stderr is not None
        assert self._process.stderr.readline().startswith(b"Listening")

    def events(self) -> list[dict[str, Any]]:
        """End it, and read what it said."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, err.decode()
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module", params=["tcx", "stack"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One node with two pods: seen where the sender's program delivers, and where the host's stack does."""
    yield from running(request.param)


@pytest.fixture
def strict(lab: Lab) -> Iterator[Lab]:
    """The lab, its pod2 letting nothing in."""
    regenerate(lab.paths("node1"), 2, Build(options={"IngressEnforcement": 1}))
    yield lab
    regenerate(lab.paths("node1"), 2, Build(options={"IngressEnforcement": 0}))


def test_a_ping_and_its_answer(lab: Lab) -> None:
    listening = Listening(lab, "--protocol", "icmp", "-t", "trace")
    assert ping(lab, "pod1", "pod2", count=2)
    events = listening.events()
    arrivals = [event for event in events if event["point"] == "to-endpoint"]
    # Where the host's stack does the routing, a packet is seen on its way to the pod more than once.
    messages = [message for message, _ in groupby(event["packet"]["icmp"]["name"] for event in arrivals)]
    assert messages == ["EchoRequest", "EchoReply"] * 2
    request = arrivals[0]
    paths = lab.paths("node1")
    assert request["source_identity"] == store.load(paths, 1).identity
    assert (request["source_labels"], request["destination_labels"]) == (["container:pod=pod1"], ["container:pod=pod2"])
    assert (request["endpoint"], request["state"]) == (2, "new")
    assert request["interface"] == store.load(paths, 2).interface
    assert request["packet"]["ip"]["destination"] == lab.pod("pod2").ipv4
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_why_a_packet_was_dropped(strict: Lab) -> None:
    listening = Listening(strict, "--verdict", "dropped", "--to-port", "8080")
    assert not tcp(strict, "pod1", "pod2", port=8080, patience=BRIEF)
    assert not udp(strict, "pod1", "pod2", port=9090, patience=BRIEF)
    events = listening.events()
    kinds = Counter(event["type"] for event in events)
    assert kinds["drop"] == kinds["policy-verdict"] > 0
    drop = next(event for event in events if event["type"] == "drop")
    assert (drop["reason"], drop["reason_text"], drop["endpoint"]) == (DENIED, "Policy denied", 2)
    assert drop["source_labels"] == ["container:pod=pod1"]
    assert drop["packet"]["tcp"]["flags"] == ["SYN"]
    verdict = next(event for event in events if event["type"] == "policy-verdict")
    assert (verdict["action"], verdict["direction"], verdict["port"]) == ("deny", "ingress", 8080)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, {"drop", "policy-verdict", "trace"}),
        ({"DropNotification": 0}, {"policy-verdict", "trace"}),
        ({"PolicyVerdictNotification": 0}, {"drop", "trace"}),
        ({"TraceNotification": 0}, {"drop", "policy-verdict"}),
        ({"Debug": 1}, {"drop", "policy-verdict", "trace", "debug"}),
    ],
    ids=["none", "no-drop", "no-verdict", "no-trace", "debug"],
)
def test_options_take_effect(strict: Lab, options: dict[str, int], kinds: set[str]) -> None:
    paths = strict.paths("node1")
    before = {name: store.load(paths, 1).options[name] for name in options}
    for endpoint_id in (1, 2):
        regenerate(paths, endpoint_id, Build(options=options))
    try:
        listening = Listening(strict)
        assert not udp(strict, "pod1", "pod2", port=8080, patience=BRIEF)
        assert {event["type"] for event in listening.events()} == kinds
    finally:
        for endpoint_id in (1, 2):
            regenerate(paths, endpoint_id, Build(options=before))


def test_text(strict: Lab) -> None:
    environment = {**os.environ, **command.environment(strict, "node1")}
    words = [sys.executable, "-m", "cilium_py", "monitor", "-t", "drop", "--count", "1", "--timeout", "10"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"Listening")
        assert not tcp(strict, "pod1", "pod2", port=8080, patience=BRIEF)
        said = process.communicate(timeout=30)[0].decode()
    first, second = (store.load(strict.paths("node1"), number).identity for number in (1, 2))
    assert f", identity {first}(container:pod=pod1)->{second}(container:pod=pod2): {strict.pod('pod1').ipv4}:" in said
    assert said.endswith(f"-> {strict.pod('pod2').ipv4}:8080 tcp SYN\n")
