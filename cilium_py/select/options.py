"""The options that select, said once for every family: which fields of a row an option asks about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cilium_py.errors import WrongUsage
from cilium_py.schema.duration import seconds
from cilium_py.select import literals
from cilium_py.select.fields import Field, Fields, Kind
from cilium_py.select.tree import And, Compare, Has, Node, Not, Or, Within, all_of, any_of

ENDS = ("source", "destination")
LAST_PORT = 65535


class Directory(Protocol):
    """What the node knows of names. Each raises CiliumPyError where it knows none of that name."""

    def identities(self, text: str) -> list[int]:
        """The identities of a number, a reserved name, or a label."""

    def addresses(self, endpoint: int) -> list[bytes]:
        """The addresses of an endpoint."""

    def service_ids(self, text: str) -> list[int]:
        """The reverse NAT ids of a frontend: an address, or with its port."""

    def backend_ids(self, text: str) -> list[int]:
        """The ids of the backends at an address, or at one with its port."""


Meaning = Callable[[str, Fields, Directory], Node]


@dataclass(frozen=True)
class Option:
    """`--src VALUE`. `answers` are the fields it asks about; a family without any of them has no such option."""

    name: str
    metavar: str
    help: str
    answers: Callable[[Fields], Sequence[Field]]
    meaning: Meaning

    def node(self, text: str, fields: Fields, directory: Directory) -> Node:
        """The selection of one use of the option: any of the values between commas. Raises WrongUsage."""
        try:
            return any_of(*(self.meaning(part.strip(), fields, directory) for part in text.split(",")))
        except WrongUsage as error:
            raise WrongUsage(f"{self.name} {text}: {error.message}", error.hint) from None


def by_name(*names: str) -> Callable[[Fields], list[Field]]:
    return lambda fields: [fields[name] for name in names if name in fields]


def ending(kind: Kind, word: str) -> Callable[[Fields], list[Field]]:
    """The fields of a kind that are called by a word, or by one with it at the end."""
    return lambda fields: [
        field for name, field in fields.items() if field.kind is kind and (name == word or name.endswith(f"_{word}"))
    ]


def of_kind(*kinds: Kind) -> Callable[[Fields], list[Field]]:
    return lambda fields: [field for field in fields.values() if field.kind in kinds]


def any_field(answers: Callable[[Fields], Sequence[Field]], condition: Callable[[Field, str], Node]) -> Meaning:
    return lambda text, fields, _: any_of(*(condition(field, text) for field in answers(fields)))


def option(
    name: str, metavar: str, help: str, answers: Callable[[Fields], Sequence[Field]],
    condition: Callable[[Field, str], Node] = literals.one_of,
) -> Option:  # fmt: skip
    return Option(name, metavar, help, answers, any_field(answers, condition))


def sources(fields: Fields) -> list[Field]:
    return by_name("source", "inner_source", "outer_source")(fields)


def destinations(fields: Fields) -> list[Field]:
    return by_name("destination", "inner_destination", "outer_destination")(fields)


def ports(fields: Fields) -> list[Field]:
    return [field for field in ending(Kind.NUMBER, "port")(fields) if field.name not in ("last_port", "proxy_port")]


def is_port(field: Field, text: str) -> Node:
    port_range(text)
    return literals.one_of(field, text)


def port_range(text: str) -> tuple[int, int]:
    """The first and the last. Raises WrongUsage."""
    first, _, last = text.partition("-")
    least, most = literals.integer(first), literals.integer(last or first)
    if max(least, most) > LAST_PORT:
        raise WrongUsage(f"{text!r} is no port", f"give one from 0 to {LAST_PORT}, or a range such as 8000-8080")
    return least, most


def port(text: str, fields: Fields, _directory: Directory) -> Node:
    """Of a rule for a range of ports, that the port, or part of the range, is in it."""
    if "last_port" not in fields:
        return any_of(*(is_port(field, text) for field in ports(fields)))
    least, most = port_range(text)
    return all_of(Compare(fields["port"], "<=", most), Compare(fields["last_port"], ">=", least))


def flags(fields: Fields) -> list[Field]:
    return [field for field in by_name("flag_names", "flags")(fields) if field.kind is Kind.NAMES][:1]


def identities(fields: Fields) -> list[Field]:
    return ending(Kind.NUMBER, "identity")(fields)


def identity(text: str, fields: Fields, directory: Directory) -> Node:
    numbers = directory.identities(text)
    return any_of(*(Compare(field, "==", each) for field in identities(fields) for each in numbers))


def endpoints(fields: Fields) -> list[Field]:
    """The id where rows have one, else the addresses that may be an endpoint's."""
    found = by_name("endpoint_id", "endpoint")(fields)
    return found or [field for field in by_name(*ENDS, "address")(fields) if field.kind is Kind.ADDRESS]


def endpoint(text: str, fields: Fields, directory: Directory) -> Node:
    asked = endpoints(fields)
    if asked[0].kind is not Kind.ADDRESS:
        return literals.one_of(asked[0], text)
    addresses = directory.addresses(literals.integer(text))
    return Or(tuple(Within(field, (each, len(each) * 8)) for field in asked for each in addresses))


def directions(fields: Fields) -> list[Field]:
    """That of the row; of rows that join several, any of theirs."""
    return [field for field in by_name("direction", "entries")(fields) if field.kind in (Kind.TEXT, Kind.NAMES)]


def services(fields: Fields) -> list[Field]:
    return by_name("rev_nat")(fields)


def service(text: str, fields: Fields, directory: Directory) -> Node:
    numbers = [literals.integer(text)] if text.isdecimal() else directory.service_ids(text)
    return any_of(*(Compare(fields["rev_nat"], "==", each) for each in numbers))


def backends(fields: Fields) -> list[Field]:
    return by_name("backend_id")(fields)


def backend(text: str, fields: Fields, directory: Directory) -> Node:
    numbers = [literals.integer(text)] if text.isdecimal() else directory.backend_ids(text)
    return any_of(*(Compare(fields["backend_id"], "==", each) for each in numbers))


def longer(field: Field, text: str) -> Node:
    return Compare(field, ">", seconds(text))


def sooner(field: Field, text: str) -> Node:
    return Compare(field, "<", seconds(text))


OPTIONS = (
    option("--src", "CIDR", "source address", sources, literals.concerning),
    option("--dst", "CIDR", "destination address", destinations, literals.concerning),
    option("--addr", "CIDR", "any address of the row", of_kind(Kind.ADDRESS, Kind.PREFIX), literals.concerning),
    option("--sport", "PORT", "source port, or a range such as 8000-8080", by_name("source_port"), is_port),
    option("--dport", "PORT", "destination port", by_name("destination_port"), is_port),
    Option("--port", "PORT", "any port of the row", ports, port),
    option("--proto", "NAME", "protocol: TCP, UDP, ICMP, ... or its number", by_name("protocol")),
    option("--dir", "NAME", "direction", directions),
    option("--state", "NAME", "state", by_name("state", "backend_state", "status")),
    option("--flag", "NAME", "a flag that is set", flags, Has),
    Option("--identity", "ID", "security identity: a number, a reserved name, a label", identities, identity),
    Option("--endpoint", "ID", "endpoint, or either end of a connection is an address of it", endpoints, endpoint),
    Option("--service", "ID", "service: its reverse NAT id, or ADDRESS[:PORT] of its frontend", services, service),
    Option("--backend", "ID", "backend: its id, or ADDRESS[:PORT]", backends, backend),
    option("--older-than", "DURATION", "created longer ago, such as 90s, 5m, 1h30m, 2d", by_name("age"), longer),
    option("--idle", "DURATION", "without a packet for longer", by_name("idle"), longer),
    option("--expires-within", "DURATION", "with less time left", by_name("remaining"), sooner),
)
BY_NAME = {each.name: each for each in OPTIONS}


def selected(
    given: Sequence[tuple[str, str, bool]], fields: Fields, directory: Directory, family: str
) -> Node:  # fmt: skip
    """The selection of (option, value, whether negated): any value of one option, and every option.

    Raises WrongUsage that lists the fields if rows have nothing that an option asks about.
    """
    terms: dict[tuple[str, bool], list[Node]] = {}
    for name, text, negated in given:
        found = BY_NAME[name]
        if not found.answers(fields):
            raise WrongUsage(f"{name}: {family} has nothing of the kind ({found.help})", f"fields: {', '.join(fields)}")
        terms.setdefault((name, negated), []).append(found.node(text, fields, directory))
    # With --not, none of the values: `not any`, as one condition.
    return And(tuple(Not(any_of(*nodes)) if negated else any_of(*nodes) for (_, negated), nodes in terms.items()))
