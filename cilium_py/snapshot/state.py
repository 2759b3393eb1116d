"""The files of a state directory in a recording: which are taken, and putting them where commands find them."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

MOST_FILES, MOST_BYTES = 20_000, 1 << 20
"""How many files, and how large each."""
KINDS = (".json", ".txt", ".h", ".yaml")
LEFT_OUT = ("locks", "health")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DEPTH = 4
ELSEWHERE = ("identities", "roster_directory", "netns")
"""Of node.json: where the node keeps what a recording has beside it, if at all."""


def is_safe(name: str) -> bool:
    """Whether a path of a recording can be a file's below a directory of ours."""
    parts = name.split("/")
    return len(parts) <= DEPTH and all(map(_NAME.fullmatch, parts)) and name.endswith(KINDS)


def gather(directory: Path, shared: Mapping[str, Path]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file that says something of the node; of `shared`, under the name given there."""
    seen = set()
    for name, path in shared.items():
        text = _content(path)
        if text is not None:
            seen.add(name)
            yield name, text
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in sorted(directories) if name not in LEFT_OUT]
        for file in sorted(files):
            path = Path(parent, file)
            name = path.relative_to(directory).as_posix()
            if name in seen or not is_safe(name) or len(seen) >= MOST_FILES:
                continue
            text = _content(path)
            if text is not None:
                seen.add(name)
                yield name, text


def put(directory: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files of a recording below a directory that nobody else has."""
    for count, (name, data) in enumerate(files):
        if count >= MOST_FILES or len(data) > MOST_BYTES or not is_safe(name):
            continue
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(_at_home(data) if name == "node.json" else data)


def _at_home(data: bytes) -> bytes:
    """A node's file with all that would lead out of the recording taken off."""
    try:
        document = json.loads(data)
    except ValueError:
        return data
    if isinstance(document, dict):
        document |= dict.fromkeys(ELSEWHERE & document.keys())
    return json.dumps(document).encode()


def _content(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        return file.read() if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES else None
