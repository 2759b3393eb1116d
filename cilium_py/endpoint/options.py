"""What can be set of an endpoint, and what its programs call it."""

from __future__ import annotations

import re
from typing import NamedTuple

from cilium_py.errors import WrongUsage


class Option(NamedTuple):
    """A switch, or a number up to `most`."""

    variable: str
    """Name of the programs' option."""
    default: int
    description: str
    most: int = 1


OPTIONS = {
    "ConntrackAccounting": Option("enable_conntrack_accounting", 1, "Count packets and bytes of each connection"),
    "Debug": Option("debug", 0, "Send debug events"),
    "DropNotification": Option("enable_drop_notify", 1, "Send an event for each dropped packet"),
    "EgressEnforcement": Option("enforce_egress", 0, "Deny what no policy lets out"),
    "IngressEnforcement": Option("enforce_ingress", 0, "Deny what no policy lets in"),
    "MonitorAggregationLevel": Option("monitor_aggregation", 0, "Send fewer trace events, 0 to 3", most=3),
    "PolicyAccounting": Option("enable_policy_accounting", 1, "Count packets and bytes of each policy entry"),
    "PolicyAuditMode": Option("policy_audit_mode", 0, "Let pass what policy denies, and say so"),
    "PolicyVerdictNotification": Option("enable_policy_verdict_notify", 1, "Send an event for each policy verdict"),
    "SourceIPVerification": Option("enable_source_ip_verification", 1, "Drop what has not the endpoint's address"),
    "TraceNotification": Option("enable_trace_notify", 1, "Send an event for each forwarded packet"),
}

_WORDS = {"enable": 1, "enabled": 1, "true": 1, "on": 1, "disable": 0, "disabled": 0, "false": 0, "off": 0}


def defaults() -> dict[str, int]:
    return {name: option.default for name, option in OPTIONS.items()}


def parse_option(text: str) -> tuple[str, int]:
    """`Debug=enable` or `MonitorAggregationLevel=3` as a name and a number."""
    word, _, value = text.partition("=")
    known = next((name for name in OPTIONS if name.lower() == word.lower()), None)
    if known is None:
        raise WrongUsage(f"{word!r}: no such option of an endpoint", hint=f"there are {', '.join(OPTIONS)}")
    number = _WORDS.get(value.lower(), int(value) if re.fullmatch("[0-9]{1,9}", value) else None)
    if number is None or number > OPTIONS[known].most:
        most = OPTIONS[known].most
        hint = "write enable or disable" if most == 1 else f"give a number from 0 to {most}"
        raise WrongUsage(f"{text!r}: not a value for {known}", hint)
    return known, number
