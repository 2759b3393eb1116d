"""What an agent of Cilium said of itself in documents of its API, as cilium-bugtool keeps its outputs.

One `debuginfo` has all of it; `endpoint list`, `identity list`, `node list` and `policy get` with `-o json` have a
part. Whatever has not the expected shape is passed over: every release has its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from cilium_py.snapshot.recording import Recording
from cilium_py.snapshot.state import printable

MOST_REVISION = 1 << 62


@dataclass
class Told:
    """Documents as they came, each checked to be an object."""

    endpoints: list[dict[str, Any]] = field(default_factory=list)
    identities: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    own_name: str = ""
    """Cluster and name of the node that all of this is of."""
    rules: str = ""
    """JSON."""
    revision: int = 0

    @classmethod
    def read(cls, recording: Recording) -> Told:
        found = cls()
        for what, data in recording.told():
            document = _document(data.decode(errors="replace"))
            match what:
                case "debuginfo":
                    found._debuginfo(document)
                case "endpoint-list":
                    found.endpoints += objects(document)
                case "identity-list":
                    found.identities += objects(document)
                case "node-list":
                    found.nodes += objects(document)
                case "policy-get":
                    found._policy(document)
        return found

    def _debuginfo(self, document: Any) -> None:
        self.endpoints += objects(part(document, "endpoint-list"))
        cluster = part(document, "cilium-status", "cluster")
        self.nodes += objects(part(cluster, "nodes"))
        self.own_name = text(part(cluster, "self")) or self.own_name
        self._policy(part(document, "policy"))

    def _policy(self, document: Any) -> None:
        self.rules = text(part(document, "policy")) or self.rules
        self.revision = integer(part(document, "revision"), MOST_REVISION) or self.revision


def _document(written: str) -> Any:  # whatever JSON there is
    """The JSON in a file, which may stand between the lines of a Markdown block; None if there is none."""
    starts = [at for at in (written.find("\n" + sign) for sign in "[{") if at >= 0]
    at = 0 if written[:1] in ("[", "{") else min(starts, default=-1)
    if at < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(written[at:].lstrip())
        return printable(found)
    except (ValueError, RecursionError):
        return None


def objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def part(document: Any, *keys: str | int) -> Any:  # whatever is there
    """What a document has under a key, and under another within that; None where there is nothing."""
    for key in keys:
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and isinstance(key, int) and key < len(document):
            document = document[key]
        else:
            return None
    return document


def text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 16 << 20 else ""


def texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def integer(value: Any, most: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else 0


def ipv4(value: Any) -> IPv4Address | None:
    try:
        return IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def ipv6(value: Any) -> IPv6Address | None:
    try:
        return IPv6Address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def mac(value: Any) -> bytes:
    try:
        found = bytes.fromhex(text(value).replace(":", ""))
    except ValueError:
        found = b""
    return found if len(found) == 6 else bytes(6)


def labels(value: Any) -> Iterator[str]:
    """Of `{"app": {"source": "k8s", "key": "app", "value": "web"}}`."""
    for label in value.values() if isinstance(value, dict) else ():
        source, key, content = (text(part(label, name)) for name in ("source", "key", "value"))
        if key:
            yield f"{source}:{key}={content}" if content else f"{source}:{key}"
