"""What the numbers in an event stand for, in Cilium's words."""

from __future__ import annotations

from cilium_py.schema.reasons import FILES, FIRST_DROP_REASON, REASONS, reason, source_file

__all__ = ["FILES", "FIRST_DROP_REASON", "REASONS", "reason", "source_file"]

DROP, DEBUG, CAPTURE, TRACE, POLICY_VERDICT, RECORDER, TRACE_SOCK = range(1, 8)
L7, AGENT = 129, 130

KINDS = {
    "drop": DROP,
    "debug": DEBUG,
    "capture": CAPTURE,
    "trace": TRACE,
    "policy-verdict": POLICY_VERDICT,
    "recorder": RECORDER,
    "trace-sock": TRACE_SOCK,
    "l7": L7,
    "agent": AGENT,
}
"""The words of --type. What programs do not send comes through an agent's monitor socket only."""

KIND_NAMES = {number: name for name, number in KINDS.items()}

OBSERVATION_POINTS = (
    "to-endpoint",
    "to-proxy",
    "to-host",
    "to-stack",
    "to-overlay",
    "from-endpoint",
    "from-proxy",
    "from-host",
    "from-stack",
    "from-overlay",
    "from-network",
    "to-network",
    "from-crypto",
    "to-crypto",
)
TO_ENDPOINT, TO_PROXY = 0, 1
FROM_ENDPOINT = 5

TRACE_REASONS = (
    "new",
    "established",
    "reply",
    "related",
    "reopened",
    "unknown",
    "srv6-encap",
    "srv6-decap",
    "encrypt-overlay",
)
ENCRYPTED = 0x80
"""The bit of a trace reason that says the packet is encrypted."""

MATCHES = ("none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only")
AUTHENTICATIONS = ("disabled", "spire", "test-always-fail")
TRANSLATION_POINTS = ("unknown", "pre-xlate-fwd", "post-xlate-fwd", "pre-xlate-rev", "post-xlate-rev")
SOCKET_PROTOCOLS = ("unknown", "tcp", "udp")

AGENT_SUBJECTS = (
    "unspecified",
    "Message",
    "Cilium agent started",
    "Endpoint regenerated",
    "Failed endpoint regeneration",
    "Policy updated",
    "Policy deleted",
    "Endpoint created",
    "Endpoint deleted",
    "IPCache entry upserted",
    "IPCache entry deleted",
    "Service upserted",
    "Service deleted",
)


def word(words: tuple[str, ...], number: int) -> str:
    return words[number] if number < len(words) else str(number)
