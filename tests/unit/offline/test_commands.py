"""Every command with --from: what a recording can answer is answered, all else is refused in one line."""

from __future__ import annotations

import json
import shlex
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.cli.offline import STATE
from cilium_py.cli.select import SelectingCommand
from tests.unit.cli.test_completion import complete
from tests.unit.cli.test_tree import LISTS, PROGRAM, call, command_at, leaves

from .recordings import ANSWERS, files_of_ours, ours

READS = ("attach", "config", "count", "doctor", "explain", "get", "health", "history", "labels", "list", "log", "match")
READS = (*READS, "pressure", "report", "selectors", "show", "status")
CHANGES = [path for path in leaves() if path[0] in STATE and path[-1] not in (*READS, "validate")]
LIVE_ONLY = "needs a live node"
LIVE = {("bpf", "fs", "show"), ("lab", "status")}
"""What is of this machine and of no node."""


def example(path: tuple[str, ...]) -> list[str]:
    """The words behind a command in the first example of its help."""
    command, _ = command_at(path)
    start = " ".join((PROGRAM, *path))
    longer = " ".join((PROGRAM, "bpf", *path))
    for line in map(str.strip, (command.help or "").splitlines()):
        for begin in (start, longer):
            if line == begin or line.startswith(f"{begin} "):
                words = takewhile(lambda word: word[:1] not in "|>&", shlex.split(line.partition("    ")[0]))
                return list(words)[len(begin.split()) :]
    raise AssertionError(path)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(ours(tmp_path_factory.mktemp("ours")))


@pytest.mark.parametrize("path", [path for path in leaves() if path[-1] in READS], ids=" ".join)
def test_what_reads_works_or_says_why(path: tuple[str, ...], snapshot: str) -> None:
    words = [snapshot] if path == ("snapshot", "list") else example(path)
    code, out, err = call("--from", snapshot, *path, *words)
    if path[0] in STATE:
        assert (code, err) == (0, ""), err
        assert out
        return
    assert code in (0, 1, 2)
    if path in LIVE:
        assert code == 2
        assert LIVE_ONLY in err
    elif err:
        said = ("not recorded", "was recorded", "no entry", "says nothing", "no such", "No such file", LIVE_ONLY)
        assert code == 0 or any(text in err for text in said), err
        assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("path", CHANGES, ids=" ".join)
def test_what_changes_the_node_is_refused(path: tuple[str, ...], snapshot: str) -> None:
    code, out, err = call("--from", snapshot, *path, *example(path))
    assert (code, out) == (2, "")
    assert LIVE_ONLY in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    "words",
    ["endpoint config 1 Debug=enable", "endpoint labels 1 -a x=y", "health status --probe", "health status --watch",
     "health history -H /nowhere"],
)  # fmt: skip
def test_what_shows_or_changes_does_not_change(words: str, snapshot: str) -> None:
    code, out, err = call("--from", snapshot, *words.split())
    assert (code, out, err[:7]) == (2, "", "error: ")


@pytest.mark.parametrize("path", [path for path in leaves() if path[-1] in LISTS], ids=" ".join)
def test_every_list_of_a_recording_selects(path: tuple[str, ...], snapshot: str) -> None:
    """Or says that it has no such map; and names the fields where a wrong one is asked for."""
    command, _ = command_at(path)
    assert isinstance(command, SelectingCommand)
    field = next(iter(command.subject.fields()))
    words = (*path, *((snapshot,) if path == ("snapshot", "list") else ()))
    for options in (["--sort", f"{field}:desc", "--limit", "1", "--columns", field], ["--stats"], ["--count"]):
        code, out, err = call("--from", snapshot, *words, *options)
        assert (code == 0 and out) or (code == 1 and "recorded" in err), err
    code, out, err = call("--from", snapshot, *words, "--where", "nonsense == 1")
    assert out == ""
    assert (code == 2 and f"fields: {field}" in err) or (code == 1 and "recorded" in err), err


def asked(recording: object, *words: str) -> Any:
    code, out, err = call("--from", str(recording), *words, "-o", "json")
    assert (code, err) == (0, ""), err
    return json.loads(out)


def test_answers_are_those_of_the_node(snapshot: str) -> None:
    [endpoint] = asked(snapshot, "endpoint", "list")
    assert (endpoint["status"], endpoint["ipv4"], endpoint["labels"]) == ("ready", "10.0.0.1", ["container:app=web"])
    [entry] = asked(snapshot, "endpoint", "log", "1")
    assert entry["message"] == "Endpoint creation"
    assert [node["name"] for node in asked(snapshot, "node", "list")] == ["node1", "node2"]
    [rule] = asked(snapshot, "policy", "list")
    assert rule["ingress"] == 1
    assert 256 in [row["identity"] for row in asked(snapshot, "identity", "list")]
    assert asked(snapshot, "status")["maps"] == 28
    assert asked(snapshot, "health", "status")["nodes"][0]["name"] == "node1"
    [probe] = asked(snapshot, "health", "history")
    assert probe["loss_percent"] == 25
    assert asked(snapshot, "identity", "list", "--where", "endpoints > 0", "--columns", "identity") == [
        {"identity": 256}
    ]


def test_a_snapshot_that_was_not_asked_says_so(tmp_path: Path) -> None:
    """As those of an older release are."""
    path = ours(tmp_path, answers={})
    assert asked(path, "endpoint", "list")[0]["status"] == "waiting-for-identity"  # what the log says last
    for words in (["status"], ["health", "status"], ["health", "history"], ["health", "endpoint", "status"]):
        code, out, err = call("--from", str(path), *words)
        assert (code, out) == (1, "")
        assert "says nothing of" in err


def test_a_diff_shows_what_changed_beside_the_maps(snapshot: str, tmp_path: Path) -> None:
    files = files_of_ours(tmp_path / "other")
    document = json.loads(files["1/ep_config.json"])
    document["SecLabel"]["id"] = 257
    files["1/ep_config.json"] = json.dumps(document).encode()
    del files["policy/rules.json"]
    after = str(ours(tmp_path, files=files))
    code, out, err = call("snapshot", "diff", snapshot, after)
    assert (code, err) == (0, "")
    changed_endpoint, changed_identity, rule = out.splitlines()
    assert changed_endpoint.startswith("~ endpoints: 1 ")
    assert "(identity 256 -> 257)" in changed_endpoint
    assert changed_identity.startswith("~ identities: 256 ")
    assert rule.startswith("- rules: 1 unspec:web")
    code, out, _ = call("snapshot", "diff", snapshot, after, "--count")
    assert out.splitlines()[-1].split() == ["rules", "1", "0", "0", "1", "0"]
    assert call("snapshot", "diff", snapshot, after, "--where", "map == rules")[1] == f"{rule}\n"
    assert call("snapshot", "diff", snapshot, after, "--map", "cilium_lxc")[1] == ""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("endpoint get ", "plain,1\n"), ("ct list --identity con", "plain,container:app=web\n"),
        ("endpoint list --state not", "plain,not-ready\n"), ("ct list --endpoint 1", "plain,1\n"),
    ],
)  # fmt: skip
def test_values_of_a_recording_complete(words: str, offered: str, snapshot: str, tmp_path: Path) -> None:
    assert complete(f"cilium-py --from {snapshot} {words}", TMPDIR=str(tmp_path)) == offered
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_not_there_offers_nothing() -> None:
    assert complete("cilium-py --from /nowhere.snap endpoint get ") == "\n"


def test_a_prober_that_keeps_no_past(tmp_path: Path) -> None:
    path = ours(tmp_path, answers={**ANSWERS, "probes": {**ANSWERS["probes"], "history": None}})
    assert asked(path, "health", "status")["nodes"]
    code, out, err = call("--from", str(path), "health", "history")
    assert (code, out) == (1, "")
    assert "says nothing of past probes" in err


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\x1b[31m"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
COMMANDS = [
    "endpoint list", "endpoint get 1", "endpoint log 1", "endpoint health 1", "endpoint labels 1", "endpoint config 1",
    "identity list", "node list", "policy list", "policy get", "policy selectors", "status", "health status",
    "health status --verbose", "health history", "health get", "health endpoint status", "bpf sha list",
    "--compat endpoint list -o json",
]  # fmt: skip


def changed(document: Any, at: int, value: Any) -> Any:
    """A document with one of its places, counted through, replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    copy = json.loads(json.dumps(document))
    walk(copy)
    if not places:
        return value
    node, key = places[at % len(places)]
    node[key] = value
    return copy


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files_of_ours(tmp_path_factory.mktemp("state"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), words=st.sampled_from(COMMANDS), value=HOSTILE, at=st.integers(0, 200))
def test_any_document_is_an_error_or_harmless(
    data: st.DataObject, words: str, value: Any, at: int, state: dict[str, bytes], tmp_path: Path
) -> None:  # fmt: skip
    names = [name for name in state if name.endswith(".json")] + list(ANSWERS)
    name = data.draw(st.sampled_from(names))
    files, answers = dict(state), dict(ANSWERS)
    if name in files:
        files[name] = json.dumps(changed(json.loads(files[name]), at, value)).encode()
    else:
        answers[name] = changed(answers[name], at, value)
    code, out, err = call("--from", str(ours(tmp_path, answers, files)), *words.split())
    assert code in (0, 1, 2, 3)
    assert "\x1b" not in out + err
    assert len(err.splitlines()) <= 2


def test_deep_nesting_is_an_error(state: dict[str, bytes], tmp_path: Path) -> None:
    path = ours(tmp_path, files={**state, "node.json": b"[" * 100_000})
    code, out, err = call("--from", str(path), "endpoint", "list")
    assert (code, out) == (1, "")
    assert "too deeply" in err
