"""The parts of docs/ that follow from the definitions: `python -m tests.unit.test_reference` writes them anew."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import click
import pytest

from cilium_py.cli.bpf import definitions
from cilium_py.cli.lb import Row as Service
from cilium_py.cli.map import Row as PinnedMap
from cilium_py.cli.multicast import SubscriberRow
from cilium_py.node.mounts import Mount
from cilium_py.node.templates import TemplateUse
from cilium_py.schema import Address, Mac, MapDef, Prefix
from tests.unit.cli.test_tree import command_at

DOCS = Path(__file__).resolve().parents[2] / "docs"
BY_HAND: dict[str, type[Any]] = {
    "fs show": Mount, "lb list": Service, "map list": PinnedMap,
    "multicast subscriber list": SubscriberRow, "sha list": TemplateUse,
}  # fmt: skip
"""Commands of `bpf` whose rows no definition names."""
KINDS = {int: "number", str: "text", bool: "true or false", float: "number"}
MARKED = ((Address, "address"), (Mac, "MAC address"), (Prefix, "prefix"))


def commands() -> str:
    """The table of what `bpf` shows."""
    lines = ["| command | shows | pins | layouts |", "|---|---|---|---|"]
    for definition in sorted(definitions(), key=lambda each: each.command):
        pins = " ".join(f"`{source.pin.replace('{}', '*')}`" for source in definition.sources)
        releases = ", ".join(
            sorted(definition.releases(), key=lambda release: [int(n) for n in re.findall(r"\d+", release)])
        )
        lines.append(f"| `{' '.join(definition.command)}` | {definition.summary} | {pins} | {releases} |")
    return "\n".join(lines)


def fields() -> str:
    """A table of fields for each row type."""
    rows: dict[str, type[Any]] = {" ".join(each.command): each.row for each in definitions()} | BY_HAND
    parts = []
    for command, row in sorted(rows.items()):
        remarks = docstrings(row)
        is_group = isinstance(command_at(("bpf", *command.split()))[0], click.Group)
        lines = [f"### `bpf {command} list`" if is_group else f"### `bpf {command}`", ""]
        lines += ["| field | type | |", "|---|---|---|"]
        hints = get_type_hints(row, include_extras=True)
        lines += [f"| `{name}` | {kind(hints[name])} | {remarks.get(name, '')} |" for name in row._fields]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def kind(hint: Any) -> str:
    for mark, said in MARKED:
        if hint == mark:
            return said
    if get_origin(hint) in (Union, UnionType):
        [plain] = [option for option in get_args(hint) if option is not NoneType]
        return f"{kind(plain)} or null"
    if get_origin(hint) is list:
        inner = get_args(hint)[0]
        return "list of objects: " + ", ".join(inner._fields) if hasattr(inner, "_fields") else f"list of {kind(inner)}"
    return KINDS.get(hint) or "object"


def docstrings(row: type[Any]) -> dict[str, str]:
    """Field -> the string below it in the source, in the words of the machine formats."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(row))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = re.sub(r"\bNone\b", "null", " ".join(str(below.value.value).split()))
    return found


PARTS = {"inspector.md": {"commands": commands}, "scripting.md": {"fields": fields}}


def renewed(name: str) -> str:
    text = (DOCS / name).read_text()
    for part, write in PARTS[name].items():
        start, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
        text = re.sub(f"{start}.*?{end}", lambda _, s=start, e=end, w=write: s + w() + "\n" + e, text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize("name", PARTS)
def test_docs_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == renewed(name), "run: python -m tests.unit.test_reference"


def described() -> Iterator[tuple[str, MapDef[Any]]]:
    for definition in definitions():
        yield " ".join(definition.command), definition


@pytest.mark.parametrize(
    ("command", "definition"), list(described()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_rows_are_a_schema(command: str, definition: MapDef[Any]) -> None:
    """Field names are words in lower case, their types are those that the formats know."""
    for name, hint in get_type_hints(definition.row, include_extras=True).items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), f"{command}: {name}"
        assert kind(hint) != "object", f"{command}: {name}"


def main() -> None:
    for name in PARTS:
        (DOCS / name).write_text(renewed(name))


if __name__ == "__main__":
    main()
