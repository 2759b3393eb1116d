"""What happens to an endpoint in its life: labels, options, queues, a reboot, the end of its workload."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.endpoint import history, restore, states, status, store
from cilium_py.endpoint.add import Request, add
from cilium_py.endpoint.delete import delete
from cilium_py.endpoint.regenerate import Build, regenerate
from cilium_py.errors import RegenerationFailed
from cilium_py.lab import Lab, build, command, teardown
from cilium_py.loader import state, template
from cilium_py.loader.compiler import Compiler, source_directory
from cilium_py.net import libc, link
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node import templates
from cilium_py.node.config import HOST_DEVICE, NodeConfig
from tests.netns.conftest import Cilium, cilium_on
from tests.netns.traffic import Stream, ping, tcp

SECONDS = 10.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = build.up(Lab.planned(1, 3))
    yield made
    teardown.down(made.root)


@pytest.fixture
def cilium(lab: Lab) -> Cilium:
    return cilium_on(lab, "node1")


def state_of(lab: Lab, endpoint_id: int) -> str:
    paths = lab.paths("node1")
    return status.state_of(paths, NodeConfig.load(paths), store.load(paths, endpoint_id))


def messages(lab: Lab, endpoint_id: int) -> list[str]:
    return [entry.message for entry in history.entries(lab.paths("node1"), endpoint_id)]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_the_log_tells_the_life_of_an_endpoint(cilium: Cilium) -> None:
    cilium("endpoint", "regenerate", "1", "--reason", "a test")
    entries = json.loads(cilium("endpoint", "log", "1", "-o", "json").stdout)
    assert [entry["state"] for entry in reversed(entries)] == [
        "waiting-for-identity", "ready", *["waiting-to-regenerate", "regenerating", "ready", "ready"] * 2,
    ]  # fmt: skip
    assert entries[0]["message"] == "Successfully regenerated endpoint program (Reason: a test)"
    assert entries[0]["type"] == "BPF"
    titles, newest, *_ = cilium("endpoint", "log", "1").stdout.splitlines()
    assert titles.split() == ["Timestamp", "Status", "State", "Message"]
    assert newest.split()[1:3] == ["OK", "ready"]


def test_commands_show_an_endpoint(lab: Lab, cilium: Cilium) -> None:
    assert cilium("endpoint", "health", "1").stdout.splitlines() == [
        "Overall Health:   OK", "BPF Health:       OK", "Policy Health:    OK", "Connected:        yes",
    ]  # fmt: skip
    [health] = json.loads(cilium("endpoint", "health", "1", "-o", "json").stdout)
    assert (health["state"], health["connected"], health["problems"], health["probes"]) == ("ready", True, [], [])
    listed = cilium("endpoint", "list", "--no-headers").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["1", "2", "3"]
    [shown] = json.loads(cilium("endpoint", "get", "container-name:pod2").stdout)
    assert set(shown) == {"id", "spec", "status"}
    assert shown["id"] == 2
    assert {
        "controllers", "external-identifiers", "health", "identity", "labels", "log", "named-ports", "namedPorts",
        "networking", "policy", "realized", "state",
    } <= set(shown["status"])  # fmt: skip
    assert cilium("endpoint", "show", "-l", "pod=pod2", "-o", "jsonpath={[*].id}").stdout.strip() == "2"
    assert cilium("endpoint", "inspect", f"ipv4:{lab.pod('pod3').ipv4}", "-o", "jsonpath={[0].id}").stdout == "3\n"


def test_options(lab: Lab, cilium: Cilium) -> None:
    lines = cilium("endpoint", "config", "2").stdout.splitlines()
    assert lines[1].split() == ["Debug", ":", "Disabled"]
    said = cilium("endpoint", "config", "2", "Debug=enable", "MonitorAggregationLevel=3").stdout
    assert said == "Endpoint 2 configuration updated successfully\n"
    rows = {row["option"]: row["value"] for row in json.loads(cilium("endpoint", "config", "2", "-o", "json").stdout)}
    assert (rows["Debug"], rows["MonitorAggregationLevel"], rows["TraceNotification"]) == (1, 3, 1)
    assert "#define DEBUG 1\n" in (lab.paths("node1").endpoint(2) / "ep_config.h").read_text()
    assert messages(lab, 2)[-1].endswith("(Reason: options changed)")
    described = cilium("endpoint", "config", "--list-options").stdout.splitlines()
    assert [line.split()[0] for line in described] == list(rows)
    assert cilium("endpoint", "config", "2", "Nope=enable", check=False).returncode == 2
    cilium("endpoint", "config", "2", "Debug=disable", "MonitorAggregationLevel=0")


def test_templates_that_nobody_uses_are_removed(lab: Lab, cilium: Cilium) -> None:
    paths = lab.paths("node1")
    [shared] = templates.uses(paths)
    assert shared.endpoints == [1, 2, 3]
    regenerate(paths, 2, Build(options={"Debug": 1}))
    assert sorted(use.endpoints for use in templates.uses(paths)) == [[1, 3], [2]]
    own = templates.named_template(paths.endpoint(2)) or ""
    assert "#define DEBUG 1\n" in cilium("bpf", "sha", "get", own).stdout
    regenerate(paths, 2, Build(options={"Debug": 0}))
    assert templates.uses(paths) == [shared]


def test_new_labels_new_identity_no_loss(lab: Lab, cilium: Cilium) -> None:
    paths = lab.paths("node1")
    before = store.load(paths, 1)
    with Stream(lab, "pod1", "pod2") as stream:
        said = cilium("endpoint", "labels", "1", "-a", "tier=x", "-d", "pod=pod1").stdout.splitlines()
    assert [line.split() for line in said[1:]] == [
        ["container:tier=x", "Enabled"], ["container:pod=pod1", "Disabled"],
    ]  # fmt: skip
    changed = store.load(paths, 1)
    assert changed.identity != before.identity
    identities = NodeConfig.load(paths).identity_store(paths)
    assert identities.labels(changed.identity) == ("container:tier=x",)
    assert identities.labels(before.identity) is None
    assert stream.lost == []
    cilium("endpoint", "labels", "1", "-d", "tier=x", "-a", "pod=pod1")
    assert store.load(paths, 1).labels == before.labels
    assert store.load(paths, 1).disabled_labels == ()
    assert len(identities.all()) == 3


def test_several_at_once(cilium: Cilium) -> None:
    rows = json.loads(cilium("endpoint", "regenerate", "--all", "-o", "json").stdout)
    assert {row["endpoint"] for row in rows if row["phase"] == "total"} == {1, 2, 3}
    done = cilium("endpoint", "regenerate", "-l", "pod=pod2").stdout
    assert set(re.findall(r"endpoint (\d+):", done)) == {"2"}
    for words in ((), ("1", "--all"), ("1", "-l", "pod=pod1"), ("1", "--llc")):
        assert cilium("endpoint", "regenerate", *words, check=False).returncode == 2
    assert cilium("endpoint", "regenerate", "-l", "no=such", check=False).returncode == 1


def test_one_that_fails_does_not_keep_others_from_it(lab: Lab, cilium: Cilium) -> None:
    paths = lab.paths("node1")
    with state.locked(store.lock_of(paths, 2)):
        done = cilium("endpoint", "regenerate", "--all", "--timeout", "0.1", check=False)
    assert done.returncode == 1
    assert re.findall(r"Endpoint (\d) successfully", done.stdout) != []
    assert "Endpoint 2 successfully" not in done.stdout
    assert done.stderr.startswith("error: endpoint 2: not regenerated: another process has the lock")
    regenerate(paths, 2)


READ_ONLY = (
    "Read-only file system\nhint: that file system is mounted read-only; mount -o remount,rw makes it writable\n"
)


@pytest.mark.parametrize(
    "words",
    ["endpoint regenerate 1", "endpoint config 1 Debug=enable", "endpoint delete 1 --yes", "policy delete --all"],
)
def test_a_state_directory_that_is_read_only(lab: Lab, cilium: Cilium, words: str) -> None:
    directory = lab.paths("node1").state_dir
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", directory], check=True)
        done = cilium(*words.split(), check=False)
    finally:
        subprocess.run(["umount", directory], check=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: (endpoint 1: not regenerated: )?{directory}/locks/\S+: {READ_ONLY}", done.stderr)


def test_a_bar_at_a_terminal(lab: Lab) -> None:
    """The bar is on stderr and gone at the end; stdout has the lines of always."""
    leader, follower = os.openpty()
    words = [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "--all"]
    environment = {**os.environ, **command.environment(lab, "node1"), "TERM": "xterm"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=follower) as process:
        os.close(follower)
        out, _ = process.communicate(timeout=60)
    said = os.read(leader, 1 << 16).decode()
    os.close(leader)
    assert process.returncode == 0
    assert "regenerating" in said
    assert out.decode().count("successfully regenerated") == 3


def test_no_wait(lab: Lab, cilium: Cilium) -> None:
    """The command returns while another has the endpoint; the regeneration is done when its turn comes."""
    paths = lab.paths("node1")
    with state.locked(store.lock_of(paths, 1)):
        said = cilium("endpoint", "regenerate", "1", "--no-wait", "--reason", "later").stdout
        assert said == "Endpoint 1 queued for regeneration\n"
        assert state_of(lab, 1) == states.WAITING_TO_REGENERATE
        assert cilium("endpoint", "health", "1").stdout.startswith("Overall Health:   Pending\n")
    until(lambda: messages(lab, 1)[-1].endswith("(Reason: later)"), "the regeneration is done")
    until(lambda: state_of(lab, 1) == states.READY, "the endpoint is ready")
    assert cilium("endpoint", "regenerate", "77", "--no-wait", check=False).returncode == 1


def test_the_verifiers_words(lab: Lab, cilium: Cilium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that the verifier refuses: its last lines are said, all of them are kept, and nothing changes."""
    paths = lab.paths("node1")
    source, broken = tmp_path / "bpf_lxc.c", tmp_path / "bpf_lxc.o"
    lines = (source_directory() / "bpf_lxc.c").read_text()
    entry = lines.index("{", lines.index("int cil_from_container("))
    first = "\n\tvolatile int *nowhere = 0;\n\n\tif (*nowhere)\n\t\treturn 1;\n"
    source.write_text(lines[: entry + 1] + first + lines[entry + 1 :])
    subprocess.run(
        [Compiler.find().clang, "-O2", "-g", "-target", "bpf", "-mcpu=v3", f"-I{source_directory()}", "-isystem",
         f"/usr/include/{os.uname().machine}-linux-gnu", "-c", source, "-o", broken],
        check=True,
        capture_output=True,
    )  # fmt: skip
    monkeypatch.setattr(template, "prebuilt_object", lambda: broken)
    with Stream(lab, "pod1", "pod2") as stream, pytest.raises(RegenerationFailed) as failure:
        regenerate(paths, 1)
    assert stream.lost == []
    assert "cil_from_container" in failure.value.message
    log = paths.endpoint_failed(1) / "verifier.log"
    assert str(log) in (failure.value.hint or "")
    last = log.read_text().splitlines()[-3]
    assert "invalid mem access" in failure.value.message, last
    monkeypatch.undo()
    assert cilium("endpoint", "health", "1").stdout.startswith("Overall Health:   Warning\n")
    assert cilium("status", check=False).returncode == 1
    regenerate(paths, 1)
    assert not paths.endpoint_failed(1).exists()
    assert state_of(lab, 1) == states.READY


def test_a_source_that_does_not_compile_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    paths = lab.paths("node1")
    (tmp_path / "bpf_lxc.c").write_text("int main(void) { return nonsense; }\n")
    before = templates.uses(paths), (paths.endpoint(1) / "ep_config.h").read_text()
    with pytest.raises(RegenerationFailed, match=r"clang.*: bpf_lxc\.c:1:\d+: error: .*nonsense") as failure:
        regenerate(paths, 1, Build(compiler=Compiler.find(tmp_path)))
    log = paths.endpoint_failed(1) / "compiler.log"
    assert "nonsense" in log.read_text()
    assert str(log) in (failure.value.hint or "")
    assert (templates.uses(paths), (paths.endpoint(1) / "ep_config.h").read_text()) == before
    assert ping(lab, "pod1", "pod2", count=1)
    regenerate(paths, 1)


@pytest.mark.parametrize("llc", [False, True], ids=["clang", "clang and llc"])
def test_compiled_once_for_all_that_share_it(lab: Lab, cilium: Cilium, llc: bool) -> None:
    paths = lab.paths("node1")
    words = ("endpoint", "regenerate", "--all", "--compile", *(["--llc"] if llc else []), "-o", "json")
    rows = json.loads(cilium(*words).stdout)
    compiled = [row["milliseconds"] for row in rows if row["phase"] == "bpfCompilation"]
    assert len(compiled) == 3
    [use] = templates.uses(paths)
    assert use.endpoints == [1, 2, 3]
    assert (paths.templates / use.sha / template.OBJECT).exists()
    assert tcp(lab, "pod1", "pod2")
    cilium("endpoint", "regenerate", "--all")
    assert not (paths.templates / use.sha).exists()


def test_a_missing_compiler_changes_nothing(lab: Lab) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cilium_py", "endpoint", "regenerate", "1", "--compile"],
        env={**os.environ, **command.environment(lab, "node1"), "CLANG": "no-such-clang"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no-such-clang: no such compiler\nhint: apt install")
    assert [state_of(lab, number) for number in (1, 2, 3)] == [states.READY] * 3


def test_after_a_reboot(lab: Lab, cilium: Cilium) -> None:
    """Pins and devices are gone, the state directory is there: everything is found again."""
    paths = lab.paths("node1")
    libc.unmount(paths.bpf_root)
    with netlink(NetNamespace.named(lab.netns("node1"))) as socket:
        link.delete(socket, HOST_DEVICE)
        link.delete(socket, store.load(paths, 3).interface)
    assert [state_of(lab, number) for number in (1, 2, 3)] == [states.RESTORING] * 2 + [states.DISCONNECTED]
    assert cilium("status", check=False).returncode == 1
    assert "Connected:        no" in cilium("endpoint", "health", "1").stdout
    rows = json.loads(cilium("endpoint", "restore", "-o", "json").stdout)
    assert [row["outcome"] for row in rows] == [restore.RESTORED] * 3
    assert cilium("status").returncode == 0
    for sender, receiver in (("pod1", "pod2"), ("pod3", "pod1"), ("node1", "pod3"), ("pod2", "world")):
        assert ping(lab, sender, receiver, count=1)
    assert states.RESTORING in [entry.state for entry in history.entries(paths, 1)]
    rows = json.loads(cilium("endpoint", "restore", "-o", "json").stdout)
    assert [row["outcome"] for row in rows] == [restore.INTACT] * 3


def test_a_regeneration_restores_what_it_needs(lab: Lab) -> None:
    paths = lab.paths("node1")
    with netlink(NetNamespace.named(lab.netns("node1"))) as socket:
        link.delete(socket, store.load(paths, 2).interface)
    assert state_of(lab, 2) == states.DISCONNECTED
    regenerate(paths, 2)
    assert state_of(lab, 2) == states.READY
    assert ping(lab, "pod1", "pod2", count=1)


def test_an_orphan_is_reported_and_removed(lab: Lab, cilium: Cilium) -> None:
    paths = lab.paths("node1")
    gone = NetNamespace.named("gone")
    gone.create()
    made = add(paths, Request(netns="gone", options={"Debug": 1}))
    gone.delete()
    until(lambda: state_of(lab, made.id) == states.DISCONNECTED, "its interface is gone")
    with pytest.raises(RegenerationFailed, match="no such network namespace"):
        regenerate(paths, made.id)
    done = cilium("endpoint", "restore", check=False)
    assert done.returncode == 3
    assert f"orphans: {made.id}" in done.stderr
    rows = json.loads(cilium("endpoint", "restore", "--remove-orphans", "-o", "json").stdout)
    assert [row["outcome"] for row in rows] == [*[restore.INTACT] * 3, restore.REMOVED]
    assert store.ids(paths) == [1, 2, 3]
    assert [use.endpoints for use in templates.uses(paths)] == [[1, 2, 3]]
    assert not history.file_of(paths, made.id).exists()


def test_a_delete_that_was_cut_short_is_finished(lab: Lab, cilium: Cilium) -> None:
    """Whoever comes next with the same namespace gets an endpoint of its own."""
    paths = lab.paths("node1")
    short = NetNamespace.named("short")
    short.create()
    try:
        made = add(paths, Request(netns="short"))
        history.move(paths, made.id, states.DISCONNECTING, "a test")
        done = cilium("endpoint", "regenerate", str(made.id), check=False)
        assert (done.returncode, "it is disconnecting" in done.stderr) == (1, True)
        again = add(paths, Request(netns="short", labels=("app=again",)))
        assert again.id == made.id
        assert messages(lab, again.id)[0] == "The endpoint is new"
        assert cilium("endpoint", "disconnect", str(again.id)).stdout == "Endpoint 4 successfully disconnected\n"
        with pytest.raises(Exception, match="no such endpoint"):
            delete(paths, again.id)
    finally:
        short.delete()
