"""Groups and commands that understand what cilium-dbg's users type: `ls`, `--flag=false`, words too many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cilium_py.cli.context import Settings

ALIASES = {"ls": "list"}


class Command(click.Command):
    """A command whose flags may be given a value (`--deny=false`), and which in compat ignores words too many."""

    ignores_words = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {name for p in self.params if isinstance(p, click.Option) and p.is_flag for name in p.opts}
        given = ctx.find_object(Settings)
        ctx.allow_extra_args = self.ignores_words and given is not None and given.compat
        return super().parse_args(ctx, [said for arg in args for said in _plain_flag(arg, flags)])


class StrictCommand(Command):
    """A command that takes its words and no more, in compat too."""

    ignores_words = False


class Group(click.Group):
    """A group whose commands also go by other names."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, aliases: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aliases = {**ALIASES, **(aliases or {})}
        self.makers: dict[str, Callable[[], click.Command]] = {}
        """Commands that are made when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.makers})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.makers and name not in self.commands:
            self.add_command(self.makers[name](), name)
        return super().get_command(ctx, name) or super().get_command(ctx, self.aliases.get(name, name))


def _plain_flag(arg: str, flags: set[str]) -> list[str]:
    """`--flag=true` as click has it, and nothing for `--flag=false`; `-o=json` as `-ojson`."""
    name, equals, value = arg.partition("=")
    if equals and name not in flags and len(name) == 2 and name[0] == "-" and name[1].isalpha():
        return [name + value]
    if not equals or name not in flags:
        return [arg]
    if value.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise click.UsageError(f"{name} {value}: neither true nor false")
    return [name] if value.lower() in ("1", "t", "true") else []
