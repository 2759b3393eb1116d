"""Ports of the proxies that L7 rules redirect to: one for each parser and direction, or for each listener."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cilium_py.errors import CiliumPyError

from .rule import Direction, Redirect, Rule

FIRST, LAST = 10000, 20000
PARSER_PROXY = {"http": "http", "tls": "tls", "dns": "dns", "kafka": "proxylib", "l7": "proxylib"}


def proxy_name(redirect: Redirect, direction: Direction) -> str:
    """`cilium-http-ingress`, or `default/config/listener` for a listener that the policy names."""
    return redirect.listener or f"cilium-{PARSER_PROXY[redirect.parser]}-{direction}"


def assign(rules: Iterable[Rule], known: Mapping[str, int]) -> dict[str, int]:
    """The port of every proxy that the rules need. A proxy keeps its port while any rule needs it."""
    needed = {
        proxy_name(redirect, passage.direction)
        for rule in rules
        for passage in rule.passages
        for _, redirect in passage.ports
        if redirect is not None
    }
    ports = {name: port for name, port in known.items() if name in needed}
    for name in sorted(needed - ports.keys()):
        taken = set(ports.values())
        port = next((port for port in range(FIRST, LAST + 1) if port not in taken), None)
        if port is None:
            raise CiliumPyError(f"all {LAST - FIRST + 1} proxy ports are in use")
        ports[name] = port
    return dict(sorted(ports.items()))
