"""A map definition -> its click group: list, and get, update, delete, flush where the definition has words for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import click

from cilium_py.cli.context import Settings, confirm, output_option, settings, show, yes_option
from cilium_py.cli.groups import Command, Group, StrictCommand
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_family
from cilium_py.cli.verbs import add_verbs, delete_selected, of_family
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.schema import MapDef, Source, Struct, Word
from cilium_py.table import Family, OpenTable, explained, open_source

R = TypeVar("R", bound=tuple[Any, ...])
Definition = MapDef[Any]


def group_of(definition: Definition) -> click.Group:
    """The group of a definition, e.g. `ipcache` with its verbs."""
    name = definition.command[-1]
    group = Group(name, help=definition.summary, aliases=dict(definition.aliases))
    path = " ".join(("cilium-py bpf", *definition.command))
    group.add_command(list_command(definition, path))
    if definition.make_key is not None:
        group.add_command(_get(definition, path))
        group.add_command(_delete(definition, path))
    if definition.make_value is not None:
        group.add_command(_update(definition, path))
    if definition.can_flush:
        group.add_command(_flush(definition, path))
    add_verbs(group, of_family(definition, path), delete=definition.make_key is None)
    return group


def list_command(definition: Definition, path: str) -> click.Command:
    named = definition.summary
    # "MAC addresses", "IPsec key" begin with an abbreviation.
    summary = f"List {named if named[1].isupper() else named[0].lower() + named[1:]}."
    help = _help(summary, [f"{path} list", f"{path} list -o json | jq length"], definition.note)

    @click.command(cls=SelectingCommand, name="list", help=help, subject=Subject.of(definition), arranges=True)
    @output_option
    @layout_option(definition)
    @settings
    def command(where: Settings, output: str | None, layout: str | None) -> None:
        form = where.output(output)
        family = Family(definition, where.pins, layout)
        list_family(where, form, family, family.tables(sources=seen(where, definition.sources)))

    return command


def seen(where: Settings, sources: tuple[Source[R], ...]) -> tuple[Source[R], ...]:
    """The maps to read: in compat not those of an address family that the agent's options switch off."""
    if not where.compat:
        return sources
    from cilium_py.node.runtime import RuntimeConfig, read

    with suppress(CiliumPyError):
        config = read(where.paths.state_dir) or RuntimeConfig()
        off = {4 * (not config.ipv4), 6 * (not config.ipv6)} - {0}
        return tuple(source for source in sources if source.family not in off)
    return sources


def layout_option(definition: Definition) -> Callable[[Any], Any]:
    return click.option("--layout", metavar="RELEASE", help=f"force a layout: {', '.join(definition.releases())}")


def _help(summary: str, examples: list[str], note: str = "") -> str:
    paragraphs = [summary, note, "\b\n" + "\n".join(examples)]
    return "\n\n".join(filter(None, paragraphs))


def _words(words: tuple[Word, ...], *, required: bool = True) -> Callable[[Any], Any]:
    """Click arguments of a definition's words; they arrive parsed, those left out as None."""

    def decorate(function: Any) -> Any:
        for word in reversed(words):
            metavar = word.name.upper() if required else f"[{word.name.upper()}]"
            argument = click.argument(word.name, metavar=metavar, callback=_callback(word), required=required)
            function = argument(function)
        return function

    return decorate


def _callback(word: Word) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def parse(_ctx: click.Context, _param: click.Parameter, text: Any) -> Any:
        return word.parse(text) if isinstance(text, str) else text

    return parse


def _split(definition: Definition, words: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """(pin, key fields, the remaining words)."""
    assert definition.make_key is not None
    names = {word.name for word in definition.key}
    pin, fields = definition.make_key(**{n: v for n, v in words.items() if n in names})
    return pin, fields, {n: v for n, v in words.items() if n not in names}


@contextmanager
def _opened(definition: Definition, where: Settings, pin: str, *, write: bool = False) -> Iterator[OpenTable[Any]]:
    source: Source[Any] = definition.source(pin)
    with open_source(source, where.pins, read_only=not write) as table:
        try:
            yield table
        except OSError as error:
            raise explained(error, table.path) from error


def writing(
    family: Family[Any], scope: int | str | None = None, sources: tuple[Source[Any], ...] | None = None, *,
    read_only: bool = False,
) -> Iterator[OpenTable[Any]]:  # fmt: skip
    """The maps of a family, open to be changed; what fails meanwhile is explained."""
    for table in family.tables(scope, sources, read_only=read_only):
        try:
            yield table
        except OSError as error:
            raise explained(error, table.path) from error


def build(layout: type[Struct], fields: dict[str, Any]) -> Struct:
    """A Struct of named fields. Raises WrongUsage if the live map's layout has no such field."""
    try:
        return layout(**fields)
    except TypeError as error:
        raise WrongUsage(f"this map's release cannot express that: {error}") from None


def _get(definition: Definition, path: str) -> click.Command:
    @click.command(cls=Command, name="get", help=_help("Show one entry.", [f"{path} get {_sample(definition.key)}"]))
    @_words(definition.key)
    @output_option
    @settings
    def command(where: Settings, output: str | None, **words: Any) -> None:
        pin, fields, _ = _split(definition, words)
        with _opened(definition, where, pin) as table:
            row = table.get(build(table.layout.key, fields))
        if row is None:
            raise CiliumPyError(f"{table.path}: no entry for {_said(words)}")
        show(where.output(output), [row], definition.row, definition.text)

    return command


def _delete(definition: Definition, path: str) -> click.Command:
    target = of_family(definition, path)
    examples = [f"{path} delete {_sample(definition.key)} --yes", f"{path} delete {target.sample} --dry-run"]

    @click.command(
        cls=SelectingCommand,
        name="delete",
        help=_help("Delete one entry, or what is selected.", examples),
        subject=Subject.of(definition),
        ignores_words=False,
    )
    @_words(definition.key, required=False)
    @yes_option
    @settings
    def command(where: Settings, yes: bool, dry_run: bool, **words: Any) -> None:
        if asked().selects:
            if any(value is not None for value in words.values()):
                raise WrongUsage("one entry, or what is selected?", "give a key or options that select, not both")
            delete_selected(target, where, (), yes=yes, dry_run=dry_run)
            return
        missing = [word.name.upper() for word in definition.key if words[word.name] is None]
        if missing:
            raise WrongUsage(f"{' '.join(missing)} is missing", f"{path} delete --help")
        pin, fields, _ = _split(definition, words)
        with _opened(definition, where, pin, write=not dry_run) as table:
            key = build(table.layout.key, fields)
            row = table.get(key)
            if row is None:
                raise CiliumPyError(f"{table.path}: no entry for {_said(words)}")
            if dry_run:
                click.echo(f"Would delete {_said(words)} from {table.path}")
                return
            confirm(f"Delete {_said(words)} from {table.path}?", yes)
            table.map.delete(key.pack())

    return command


def _update(definition: Definition, path: str) -> click.Command:
    example = f"{path} update {_sample(definition.key + definition.value)}"

    @click.command(cls=StrictCommand, name="update", help=_help("Create or replace one entry.", [example]))
    @_words(definition.key + definition.value)
    @settings
    def command(where: Settings, **words: Any) -> None:
        assert definition.make_value is not None
        pin, fields, rest = _split(definition, words)
        with _opened(definition, where, pin, write=True) as table:
            key = build(table.layout.key, fields)
            table.map.update(key.pack(), build(table.layout.value, definition.make_value(**rest)).pack())

    return command


def _flush(definition: Definition, path: str) -> click.Command:
    @click.command(
        cls=Command, name="flush", help=_help("Delete every entry.", [f"{path} flush --dry-run", f"{path} flush --yes"])
    )
    @yes_option
    @settings
    def command(where: Settings, yes: bool, dry_run: bool) -> None:
        flush(Family(definition, where.pins), yes=yes, dry_run=dry_run)

    return command


def flush(
    family: Family[Any], *, yes: bool, dry_run: bool, scope: int | str | None = None,
    sources: tuple[Source[Any], ...] | None = None,
) -> None:  # fmt: skip
    """Delete every entry of a family's maps and print how many each had."""
    pins = family.definition.sources if sources is None else sources
    if not dry_run:
        confirm(
            f"Delete every entry of {', '.join(s.pin_of(scope) for s in pins)}?",
            yes,
        )
    for table in family.tables(scope, sources, read_only=dry_run):
        try:
            count = sum(batch.count for batch in table.map.batches()) if dry_run else table.flush()
        except OSError as error:
            raise explained(error, table.path) from error
        click.echo(f"{'Would flush' if dry_run else 'Flushed'} {count} entries from {table.path}")


def _sample(words: tuple[Word, ...]) -> str:
    return " ".join(word.sample for word in words)


def _said(words: dict[str, Any]) -> str:
    from cilium_py.schema.text import ip

    return " ".join(ip(v) if isinstance(v, bytes) and len(v) in (4, 16) else str(v) for v in words.values())
