"""An endpoint as the commands of `endpoint` show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cilium_py.schema import Address

from .model import Endpoint
from .options import OPTIONS
from .states import health_in
from .status import Condition, policy_words


class EndpointRow(NamedTuple):
    """One endpoint."""

    endpoint: int
    name: str
    policy_ingress: str
    """Enabled, Disabled, Disabled (Audit), or - where a recording does not say; so is the next."""
    policy_egress: str
    identity: int
    labels: list[str]
    ipv6: Address | None
    ipv4: Address | None
    status: str


class LabelRow(NamedTuple):
    """A label of an endpoint: part of its identity, or kept out of it."""

    label: str
    enabled: bool
    custom: bool
    """Whether it was added by hand."""


class OptionRow(NamedTuple):
    """An option of an endpoint and its value; switches are 0 or 1."""

    option: str
    value: int
    description: str


class HealthRow(NamedTuple):
    """How an endpoint is, in Cilium's words, and what of it is missing."""

    endpoint: int
    state: str
    overall: str
    bpf: str
    policy: str
    connected: bool
    problems: list[str]


def row(endpoint: Endpoint, condition: Condition) -> EndpointRow:
    return EndpointRow(
        endpoint=endpoint.id,
        name=endpoint.name,
        policy_ingress=policy_words(endpoint.enforces_ingress, endpoint) if condition.enforces else "-",
        policy_egress=policy_words(endpoint.enforces_egress, endpoint) if condition.enforces else "-",
        identity=endpoint.identity,
        labels=list(endpoint.labels),
        ipv6=endpoint.ipv6.packed if endpoint.ipv6 else None,
        ipv4=endpoint.ipv4.packed if endpoint.ipv4 else None,
        status=condition.state,
    )


def labels(endpoint: Endpoint) -> Iterator[LabelRow]:
    for label in endpoint.labels:
        yield LabelRow(label, True, label in endpoint.custom_labels)
    for label in endpoint.disabled_labels:
        yield LabelRow(label, False, False)


def options(endpoint: Endpoint) -> Iterator[OptionRow]:
    for name, option in OPTIONS.items():
        yield OptionRow(name, endpoint.options[name], option.description)


def health(endpoint: Endpoint, condition: Condition) -> HealthRow:
    return HealthRow(endpoint.id, condition.state, *health_in(condition.state), condition.problems)


def option_word(name: str, value: int) -> str:
    """Enabled, Disabled, or the number of an option that is no switch."""
    return str(value) if OPTIONS[name].most > 1 else ("Disabled", "Enabled")[value]
