"""The files of a state directory in a recording: which are taken, and putting them where commands find them."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .recording import shape_error

MOST_FILES, MOST_BYTES, MOST_IN_ALL = 20_000, 16 << 20, 256 << 20
"""How many files, how large each, and how large together."""
KINDS = (".json", ".jsonl", ".txt", ".h", ".yaml")
LEFT_OUT = ("locks", "health")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTROLS = bytes(set(range(32)) - set(b"\n\t")) + b"\x7f"
DEPTH = 4
ELSEWHERE = ("identities", "roster_directory", "netns")
"""Of node.json: where the node keeps what a recording has beside it, if at all."""


def is_safe(name: str) -> bool:
    """Whether a path of a recording can be a file's below a directory of ours."""
    parts = name.split("/")
    return len(parts) <= DEPTH and all(map(_NAME.fullmatch, parts)) and name.endswith(KINDS)


def gather(
    directory: Path, beside: Mapping[str, Path | bytes], left_out: list[str]
) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """Name and content of each file that says something of the node, those `beside` under the name given there.

    What is too large is left out, and noted in `left_out`.
    """
    sources: dict[str, Path | bytes] = dict(beside)
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in sorted(directories) if name not in LEFT_OUT]
        for file in sorted(files):
            path = Path(parent, file)
            name = path.relative_to(directory).as_posix()
            if is_safe(name):
                sources.setdefault(name, path)
    count = 0
    for name, source in sources.items():
        text = source if isinstance(source, bytes) else _content(source)
        if text is None:
            continue
        count += 1
        if count > MOST_FILES or len(text) > MOST_BYTES:
            left_out.append(f"state/{name}: more than {MOST_FILES} files, or than {MOST_BYTES >> 20} MiB")
        else:
            yield name, text


def put(directory: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files of a recording below a directory that nobody else has; what is too large is passed over.

    Raises BadRecording for JSON that is nested too deeply.
    """
    total = 0
    for count, (name, data) in enumerate(files):
        total += len(data)
        if count >= MOST_FILES or total > MOST_IN_ALL:
            return
        if len(data) > MOST_BYTES or not is_safe(name):
            continue
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(_harmless(name, data))


def _harmless(name: str, data: bytes) -> bytes:
    """A file without control characters, which a terminal would obey, and without what leads out of the recording."""
    if name.endswith(".jsonl"):
        return b"".join(_harmless_json("", line) + b"\n" for line in data.splitlines())
    return _harmless_json(name, data) if name.endswith(".json") else data.translate(None, _CONTROLS)


def _harmless_json(name: str, data: bytes) -> bytes:
    try:
        document = printable(json.loads(data))
        if name == "node.json" and isinstance(document, dict):
            document |= dict.fromkeys(ELSEWHERE & document.keys())
        return json.dumps(document).encode()
    except RecursionError as error:
        raise shape_error(Path("state", name), "nested too deeply") from error
    except ValueError:
        return data.translate(None, _CONTROLS)


def printable(value: Any) -> Any:  # whatever JSON there is
    """The same without control characters in its words. Raises RecursionError."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else "?" for c in value)
    if isinstance(value, list):
        return [printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return value


def _content(path: Path) -> bytes | None:
    """What a regular file says, as far as may be taken and one byte more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MOST_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
