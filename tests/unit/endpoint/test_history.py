"""What is recorded of an endpoint: which states may follow which, a log that stays short and survives a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cilium_py.endpoint import history, lifecycle, states
from cilium_py.errors import EndpointMissing, RegenerationFailed
from cilium_py.paths import NodePaths

EVERY = (
    states.WAITING_FOR_IDENTITY, states.WAITING_TO_REGENERATE, states.REGENERATING, states.RESTORING, states.READY,
    states.DISCONNECTING, states.DISCONNECTED, states.INVALID,
)  # fmt: skip

ALLOWED = {
    (states.NEW, "waiting-for-identity"), (states.NEW, "restoring"),
    ("waiting-for-identity", "ready"), ("waiting-for-identity", "disconnecting"), ("waiting-for-identity", "invalid"),
    ("ready", "waiting-for-identity"), ("ready", "waiting-to-regenerate"), ("ready", "restoring"),
    ("ready", "disconnecting"), ("waiting-to-regenerate", "restoring"), ("waiting-to-regenerate", "disconnecting"),
    ("restoring", "restoring"), ("restoring", "disconnecting"), ("regenerating", "waiting-for-identity"),
    ("regenerating", "waiting-to-regenerate"), ("regenerating", "restoring"), ("regenerating", "disconnecting"),
    ("disconnecting", "disconnected"),
}  # fmt: skip
BUILDERS = {
    ("waiting-to-regenerate", "regenerating"), ("restoring", "regenerating"), ("regenerating", "ready"),
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    return NodePaths(tmp_path / "bpf", tmp_path / "state")


def put(paths: NodePaths, texts: Iterable[str]) -> None:
    path = history.file_of(paths, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(texts))


def recorded_as(paths: NodePaths, state: str | None) -> None:
    history.forget(paths, 1)
    if state is not states.NEW:
        entry = history.Entry("2026-01-01T00:00:00.000Z", "OK", "Other", str(state), "as found")
        put(paths, [json.dumps(entry._asdict()) + "\n"])


@pytest.mark.parametrize(("builder", "allowed"), [(False, ALLOWED), (True, BUILDERS)], ids=["asked", "builder"])
def test_only_these_states_follow(paths: NodePaths, builder: bool, allowed: set[tuple[str | None, str]]) -> None:
    for before in (states.NEW, *EVERY):
        for after in EVERY:
            if before == after == states.WAITING_TO_REGENERATE:
                continue
            recorded_as(paths, before)
            assert history.move(paths, 1, after, "a test", builder) == ((before, after) in allowed), (before, after)
            last = history.entries(paths, 1)[-1]
            if (before, after) in allowed:
                assert (last.code, last.state, last.message) == ("OK", after, "a test")
            else:
                refusal = f"Skipped invalid state transition to {after} due to: a test"
                assert (last.code, last.message) == ("Warning", refusal)
                assert last.state == (before or states.WAITING_FOR_IDENTITY)


def test_asking_again_while_it_waits_is_silent(paths: NodePaths) -> None:
    recorded_as(paths, states.READY)
    lifecycle.request(paths, 1, "first")
    before = history.entries(paths, 1)
    lifecycle.request(paths, 1, "second")
    assert history.entries(paths, 1) == before


def test_a_request_during_a_build_outlives_it(paths: NodePaths) -> None:
    recorded_as(paths, states.READY)
    lifecycle.begins(paths, 1, "first")
    assert history.recorded(paths, 1) == states.REGENERATING
    lifecycle.request(paths, 1, "second")
    lifecycle.succeeded(paths, 1, "first")
    assert history.recorded(paths, 1) == states.WAITING_TO_REGENERATE
    assert history.entries(paths, 1)[-1].message == "Successfully regenerated endpoint program (Reason: first)"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("disconnecting", EndpointMissing),
        ("disconnected", EndpointMissing),
        ("invalid", RegenerationFailed),
    ],
)
def test_states_that_forbid_a_regeneration(paths: NodePaths, state: str, error: type[Exception]) -> None:
    recorded_as(paths, state)
    with pytest.raises(error, match=f"it is {state}"):
        lifecycle.request(paths, 1, "a test")


def test_a_change_of_identity_that_was_cut_short_is_over_at_the_next_build(paths: NodePaths) -> None:
    recorded_as(paths, states.WAITING_FOR_IDENTITY)
    lifecycle.request(paths, 1, "a test")
    assert history.recorded(paths, 1) == states.WAITING_FOR_IDENTITY
    with pytest.raises(RegenerationFailed, match="no identity"):
        lifecycle.begins(paths, 1, "a test")
    lifecycle.begins(paths, 1, "a test", identity=300)
    assert [entry.state for entry in history.entries(paths, 1)][1:] == [
        states.READY, states.WAITING_TO_REGENERATE, states.REGENERATING,
    ]  # fmt: skip


def test_an_endpoint_without_a_log_is_restored(paths: NodePaths) -> None:
    """It was made before there were logs, or its log was removed."""
    lifecycle.begins(paths, 1, "a test")
    assert [entry.state for entry in history.entries(paths, 1)] == [states.RESTORING, states.REGENERATING]


def test_the_last_word_on_the_most_important_part_counts(paths: NodePaths) -> None:
    assert history.current(paths, 1) == (states.NEW, "OK")
    recorded_as(paths, states.READY)
    for part, code, word in (
        ("Other", "Warning", "Warning"),
        ("Policy", "Failure", "Failure"),
        ("Other", "OK", "Failure"),
        ("BPF", "OK", "OK"),
        ("Policy", "Failure", "OK"),
        ("BPF", "Warning", "Warning"),
        ("Other", "OK", "Warning"),
    ):
        history.note(paths, 1, code, part, "a test")
        assert history.current(paths, 1) == (states.READY, word)


def test_only_the_last_are_kept(paths: NodePaths) -> None:
    recorded_as(paths, states.READY)
    for number in range(history.ROOM + 20):
        history.note(paths, 1, "OK", "Other", f"number {number}")
    found = history.entries(paths, 1)
    assert len(found) == history.ROOM == len(history.file_of(paths, 1).read_text().splitlines())
    assert found[-1].message == f"number {history.ROOM + 19}"
    assert found[0].message == "number 20"


@pytest.mark.parametrize("rest", ['{"timestamp": "20', "\0\0\0", "[1, 2]\n", '{"a": 1}\n', "\xff\n", "null\n"])
def test_what_a_crash_left_is_passed_over(paths: NodePaths, rest: str) -> None:
    recorded_as(paths, states.READY)
    with history.file_of(paths, 1).open("a") as file:
        file.write(rest)
    assert history.recorded(paths, 1) == states.READY
    assert history.move(paths, 1, states.WAITING_TO_REGENERATE, "a test")
    assert [entry.state for entry in history.entries(paths, 1)] == [states.READY, states.WAITING_TO_REGENERATE]


def test_a_line_stays_a_line(paths: NodePaths) -> None:
    recorded_as(paths, states.READY)
    history.note(paths, 1, "Failure", "BPF", "first\nsecond \x1b[31m\u2028 third")
    assert len(history.file_of(paths, 1).read_text().split("\n")) == 3
    assert history.entries(paths, 1)[-1].message.startswith("first second")


def test_parallel_writers_lose_nothing(paths: NodePaths) -> None:
    recorded_as(paths, states.READY)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: history.note(paths, 1, "OK", "Other", str(n)), range(200)))
    assert sorted(int(entry.message) for entry in history.entries(paths, 1)[1:]) == list(range(200))


def test_the_log_is_private(paths: NodePaths) -> None:
    history.move(paths, 1, states.WAITING_FOR_IDENTITY, "a test")
    path = history.file_of(paths, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.unlink()
    path.symlink_to("/dev/null")
    with pytest.raises(OSError):  # noqa: PT011  ELOOP
        history.move(paths, 1, states.WAITING_FOR_IDENTITY, "a test")


def test_health_words() -> None:
    assert set(states.HEALTH) == {*EVERY, states.NOT_READY}
    assert states.HEALTH["waiting-for-identity"] == ("Disabled", "Disabled", "Bootstrap", True)
    assert states.HEALTH["restoring"] == ("Disabled", "Disabled", "Disabled", False)
    assert states.HEALTH["not-ready"] == ("Warning", "Warning", "Warning", True)


def test_a_full_disk_does_not_undo_a_build(paths: NodePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded_as(paths, states.REGENERATING)

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(history.state, "append", full)
    lifecycle.succeeded(paths, 1, "a test")
