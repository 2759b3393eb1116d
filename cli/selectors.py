"""The selecting options as click has them, with completion of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from cilium_py.cli.offline import completing
from cilium_py.cli.select import KEY, Asked, Subject
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.schema.text import PROTOCOLS, number
from cilium_py.select.fields import Field, Kind
from cilium_py.select.options import OPTIONS, Option

Callback = Callable[[click.Context, click.Parameter, Any], None]
Completion = Callable[[click.Context, click.Parameter, str], list[str]]
CT_DIRECTIONS = "IN", "OUT", "SVC"
DIRECTIONS = {
    "ct": CT_DIRECTIONS, "flow": CT_DIRECTIONS, "nat": ("IN", "OUT"), "bandwidth": ("Ingress", "Egress"),
    "metrics": ("ingress", "egress", "service", "unknown"),
}  # fmt: skip
MOST = 1 << 32


def options_of(subject: Subject, arranges: bool) -> list[click.Option]:
    """Every selecting option of a subject; those that its rows cannot answer are hidden, and say so when used."""
    fields = subject.fields()
    made: list[click.Option] = []
    for each in OPTIONS:
        answers = each.answers(fields)
        complete = completion(each, subject)
        known = vocabulary(each, subject) if answers else ()
        given, negated = _given(each.name, known), _given(each.name, known, negated=True)
        made.append(_option(each.name, given, each.metavar, each.help, complete, not answers))
        made.append(_option(f"--not-{each.name[2:]}", negated, each.metavar, "", complete, True))
    names = _words(lambda _: fields)
    made += [
        _option("--where", _where(False), "EXPR", "fields compared, such as 'bytes > 10M and not related'", names),
        _option("--not-where", _where(True), "EXPR", "", names, True),
        _flag("--not", None, "negate the option after it"),
    ]  # fmt: skip
    if arranges:
        made += [
            _option("--sort", _kept("sort"), "FIELD[:desc]", "sort by a field", _sorts(fields)),
            _option("--limit", _limit, "N", "show no more than N rows", multiple=False),
            _option("--columns", _kept("columns"), "FIELD,...", "show only these fields", names),
            _flag("--count", _kept("count"), "print how many"),
            _flag("--stats", _kept("stats"), "count by protocol, direction, state and the like"),
        ]  # fmt: skip
    return made


def _option(
    name: str, callback: Callback, metavar: str, help: str, complete: Completion | None = None, hidden: bool = False,
    multiple: bool = True,
) -> click.Option:  # fmt: skip
    return click.Option(
        [name, _variable(name)], metavar=metavar, help=help, multiple=multiple, hidden=hidden, expose_value=False,
        callback=callback, shell_complete=complete,
    )  # fmt: skip


def _flag(name: str, callback: Callback | None, help: str) -> click.Option:
    return click.Option([name, _variable(name)], is_flag=True, expose_value=False, callback=callback, help=help)


def _variable(name: str) -> str:
    """No parameter of a command is called so: a command may have an argument `endpoint` of its own."""
    return "selecting_" + name[2:].replace("-", "_")


def _asked(ctx: click.Context) -> Asked:
    found = ctx.meta[KEY]
    assert isinstance(found, Asked)
    return found


def _given(name: str, known: Iterable[str], negated: bool = False) -> Callback:
    def callback(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> None:
        for value in values:
            _refuse_unknown(name, value, known)
        _asked(ctx).given += [(name, value, negated) for value in values]

    return callback


def _refuse_unknown(name: str, value: str, known: Iterable[str]) -> None:
    """Where the words that rows have are known, any other is a slip, not a selection of nothing. Numbers may be new."""
    words = [word.lower() for word in known]
    for word in value.lower().split(","):
        if words and word.strip() not in words and not word.strip()[:1].isdigit():
            raise WrongUsage(f"{name} {value}: nothing is called {word.strip()!r}", f"known: {', '.join(known)}")


def _where(negated: bool) -> Callback:
    def callback(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> None:
        _asked(ctx).where += [(value, negated) for value in values]

    return callback


def _kept(name: str) -> Callback:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            setattr(_asked(ctx), name, value)

    return callback


def _limit(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        try:
            _asked(ctx).limit = number(value, "a number of rows", MOST)
        except WrongUsage as error:
            raise WrongUsage(f"--limit: {error.message}", error.hint) from None


def vocabulary(option: Option, subject: Subject) -> Sequence[str]:
    """Every word that rows of the subject can have where the option looks; nothing if they cannot be listed."""
    match option.name:
        case "--proto":
            return list(PROTOCOLS.values())
        case "--dir":
            return DIRECTIONS.get(subject.name, ("ingress", "egress", "unknown"))
        case "--flag":
            return _flags(subject)
    return ()


def completion(option: Option, subject: Subject) -> Completion | None:
    """What the values of an option may be, as far as that can be listed."""
    if known := vocabulary(option, subject):
        return _words(lambda _: known)
    match option.name:
        case "--state":
            return _words(lambda _: _states(subject))
        case "--identity":
            return _words(_identities)
        case "--endpoint":
            return _words(_endpoints)
    return None


def _words(found: Callable[[click.Context], Iterable[str]]) -> Completion:
    """Completes the last of the words between commas."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        try:
            words = list(found(ctx))
        except (CiliumPyError, OSError):
            return []
        return [before + comma + word for word in words if word.lower().startswith(last.lower())]

    return complete


def _sorts(fields: dict[str, Field] | Any) -> Completion:
    names = [name for name, field in fields.items() if field.kind is not Kind.OTHER]
    return _words(lambda _: [word for name in names for word in (name, f"{name}:desc")])


def _states(subject: Subject) -> Iterable[str]:
    from cilium_py.endpoint import states
    from cilium_py.maps import lb_backends

    match subject.name:
        case "ct" | "flow":
            return ("SYN-SENT", "ESTABLISHED", "CLOSING", "CLOSED", "RESET")
        case "endpoint":
            return states.HEALTH
    return lb_backends.STATES.values()


def _flags(subject: Subject) -> Sequence[str]:
    match subject.name:
        case "ct" | "flow":
            from cilium_py.maps import ct

            return list(ct.FLAG_NAMES.values())
        case "ipcache":
            from cilium_py.maps import ipcache

            return list(ipcache.FLAG_NAMES_19.values())
    return ()


def _identities(ctx: click.Context) -> Iterable[str]:
    from cilium_py.cli.names import NodeNames
    from cilium_py.node.identity import RESERVED

    with completing(ctx) as where:
        return [*RESERVED, *NodeNames(where).known_identities()]


def _endpoints(ctx: click.Context) -> Iterable[str]:
    from cilium_py.cli.names import NodeNames

    with completing(ctx) as where:
        return NodeNames(where).known_endpoints()
