"""The headers that say what an endpoint's programs were configured with (`ep_config.h`)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

Settings = Mapping[str, int | bytes]
"""Options of the programs by name: numbers, switches, addresses and MACs as bytes."""


def render(settings: Settings, comments: Mapping[str, object], document: str | None = None) -> str:
    """One define an option, after comments for people and, as Cilium keeps it, the endpoint itself in base64."""
    lines = ["/*"]
    if document is not None:
        lines.append(f" * CILIUM_ENDPOINT_BASE64: {base64.b64encode(document.encode()).decode()}")
    lines += [f" * {_comment(name)}: {_comment(value)}" for name, value in comments.items()]
    lines += [" */", "", "#pragma once", ""]
    lines += [f"#define {name.upper()} {literal(value)}" for name, value in sorted(settings.items())]
    return "\n".join(lines) + "\n"


def literal(value: int | bytes) -> str:
    if isinstance(value, int):
        return str(value)
    return "{ " + ", ".join(f"0x{byte:02x}" for byte in value) + " }"


def _comment(value: object) -> str:
    """Text that cannot end the comment it stands in."""
    return " ".join(str(value).split()).replace("*/", "* /")
