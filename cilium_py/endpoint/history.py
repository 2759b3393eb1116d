"""The log of an endpoint: the last 256 things that happened to it, in the node's state directory."""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from cilium_py.loader import state
from cilium_py.paths import NodePaths

from . import states

ROOM = 256
OK, WARNING, FAILURE, DISABLED = "OK", "Warning", "Failure", "Disabled"
BPF, POLICY, OTHER = "BPF", "Policy", "Other"


class Entry(NamedTuple):
    """Something that happened. `state` is the endpoint's from then on, `type` the part of it that it is about."""

    timestamp: str
    code: str
    type: str
    state: str
    message: str


def file_of(paths: NodePaths, endpoint_id: int) -> Path:
    return paths.state_dir / "log" / f"{endpoint_id}.jsonl"


def entries(paths: NodePaths, endpoint_id: int) -> list[Entry]:
    """The log, oldest first; empty if there is none."""
    return list(filter(None, map(_parsed, _lines(file_of(paths, endpoint_id)))))


def recorded(paths: NodePaths, endpoint_id: int) -> str | None:
    """The last state that was recorded; states.NEW if none was."""
    return _last_state(_lines(file_of(paths, endpoint_id)))


def current(paths: NodePaths, endpoint_id: int) -> tuple[str | None, str]:
    """The last state that was recorded, and the last word about the most important part that there is one about."""
    recorded_state, words = states.NEW, dict[str, str]()
    for entry in filter(None, map(_parsed, reversed(_lines(file_of(paths, endpoint_id))))):
        recorded_state = recorded_state or entry.state
        words.setdefault(entry.type, entry.code)
        if BPF in words:
            break
    return recorded_state, next((words[part] for part in (BPF, POLICY, OTHER) if part in words), OK)


def move(paths: NodePaths, endpoint_id: int, after: str, why: str, builder: bool = False) -> bool:
    """Record that the endpoint goes to a state; False if it may not, which is recorded instead.

    Who asks for a regeneration that is asked for already hears False, and nothing is recorded.
    """
    path = file_of(paths, endpoint_id)
    with _locked(paths):
        lines = _lines(path)
        before = _last_state(lines)
        if before == after == states.WAITING_TO_REGENERATE:
            return False
        allowed = states.may_follow(before, after, builder)
        if allowed:
            _append(path, lines, OK, OTHER, after, why)
        else:
            refusal = f"Skipped invalid state transition to {after} due to: {why}"
            _append(path, lines, WARNING, OTHER, before or states.WAITING_FOR_IDENTITY, refusal)
    return allowed


def note(paths: NodePaths, endpoint_id: int, code: str, part: str, message: str) -> None:
    """Record something that leaves the state as it is."""
    path = file_of(paths, endpoint_id)
    with _locked(paths):
        lines = _lines(path)
        _append(path, lines, code, part, _last_state(lines) or states.WAITING_FOR_IDENTITY, message)


def forget(paths: NodePaths, endpoint_id: int) -> None:
    file_of(paths, endpoint_id).unlink(missing_ok=True)


def _append(path: Path, lines: list[str], code: str, part: str, after: str, message: str) -> None:
    seconds = time.time()
    timestamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03}Z"
    entry = Entry(timestamp, code, part, after, " ".join(message.split()))
    line = json.dumps(entry._asdict(), ensure_ascii=False) + "\n"
    if len(lines) < ROOM and all(text.endswith("\n") for text in lines[-1:]):
        state.make_directory(path.parent)
        state.append(path, line)
    else:
        whole = [text for text in lines if text.endswith("\n")]
        state.write(path, "".join([*whole[1 - ROOM :], line]))


def _lines(path: Path) -> list[str]:
    try:
        with path.open(errors="replace") as file:
            return list(deque(file, maxlen=ROOM))
    except FileNotFoundError:
        return []


def _last_state(lines: list[str]) -> str | None:
    found = next(filter(None, map(_parsed, reversed(lines))), None)
    return found.state if found is not None else states.NEW


def _parsed(line: str) -> Entry | None:
    """An entry; None for what a full disk or a crash has left of one."""
    try:
        return state.checked(Entry(**json.loads(line)))
    except (ValueError, TypeError):
        return None


def _locked(paths: NodePaths) -> AbstractContextManager[None]:
    return state.locked(paths.state_dir / "locks" / "log")
