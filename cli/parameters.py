"""Words on the command line that many commands read alike: addresses, MAC addresses, endpoints and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cilium_py.cli.context import Settings
from cilium_py.errors import CiliumPyError, WrongUsage

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    A = TypeVar("A", IPv4Address, IPv6Address)

F = TypeVar("F", bound=Callable[..., Any])

SHORTEST_TIME, LONGEST_TIME = 1e-9, 86400.0
"""Seconds."""


def address(kind: Callable[[str], A]) -> Callable[[click.Context, click.Parameter, str | None], A | None]:
    """Read an option as an address of one family."""

    def parse(_ctx: click.Context, param: click.Parameter, text: str | None) -> A | None:
        try:
            return kind(text) if text is not None else None
        except ValueError as error:
            raise WrongUsage(f"{param.opts[0]} {text!r}: not an address of that kind") from error

    return parse


def time_option(
    name: str, default: str | None, text: str, *, least: float = SHORTEST_TIME, most: float = LONGEST_TIME
) -> Callable[[F], F]:
    """An option that is a time, passed in seconds: `500ms`, `10s`, `1m30s`; a bare number counts seconds."""

    def seconds(_ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
        if given is None:
            return None
        from cilium_py.schema import duration

        try:
            found = duration.seconds(given)
        except WrongUsage as error:
            raise WrongUsage(f"{param.opts[0]} {error.message}", error.hint) from None
        if not least <= found <= most:
            bounds = (duration.text(round(bound * duration.SECOND)) for bound in (least, most))
            raise WrongUsage(f"{param.opts[0]} {given}: not between {' and '.join(bounds)}")
        return found

    shown = f"{text} [{default}]" if default else text
    return click.option(name, metavar="TIME", default=default, callback=seconds, help=shown)


def mac(_ctx: click.Context, _param: click.Parameter, text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        packed = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        packed = b""
    if len(packed) != 6 or packed[0] & 1 or not any(packed):
        raise WrongUsage(f"--mac {text!r}: not the MAC address of an interface", hint="02:00:5e:10:00:01, say")
    return packed


def options(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:
    """NAME=VALUE words as options of an endpoint."""
    from cilium_py.endpoint.options import parse_option

    return dict(map(parse_option, texts))


def complete_options(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from cilium_py.endpoint.options import OPTIONS

    choices = (f"{word}={value}" for word in OPTIONS for value in ("enable", "disable"))
    return [choice for choice in choices if choice.lower().startswith(incomplete.lower())]


def endpoint_id(ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """The id of the endpoint that a word names."""
    if text is None:
        return None
    from cilium_py.endpoint import naming

    return naming.find((ctx.find_object(Settings) or Settings()).paths, text)


def complete_endpoints(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from cilium_py.cli.offline import completing
    from cilium_py.endpoint import store

    try:
        with completing(ctx) as where:
            found = store.ids(where.paths)
    except CiliumPyError:
        return []
    return [text for text in map(str, found) if text.startswith(incomplete)]


endpoint_argument = click.argument("endpoint_id", metavar="ID", callback=endpoint_id, shell_complete=complete_endpoints)
optional_endpoint_argument = click.argument(
    "endpoint_id", metavar="[ID]", required=False, callback=endpoint_id, shell_complete=complete_endpoints
)
labels_option = click.option(
    "-l",
    "--labels",
    multiple=True,
    metavar="LABEL",
    help="the endpoints that have this label; repeat for all of several",
)
