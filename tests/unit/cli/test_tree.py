"""The whole command tree: every --help shows an example that parses, and nothing that is typed is a traceback."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from itertools import takewhile
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.cli.main import cilium_py, run
from cilium_py.cli.select import SelectingCommand
from cilium_py.select.options import OPTIONS

PROGRAM = "cilium-py"


def walk(command: click.Command, context: click.Context, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, (*path, name)
            yield from walk(inner, click.Context(inner, parent=context, info_name=name), (*path, name))


@cache
def every_path() -> list[tuple[str, ...]]:
    return list(walk(cilium_py, click.Context(cilium_py, info_name=PROGRAM), ()))


def command_at(path: tuple[str, ...]) -> tuple[click.Command, click.Context]:
    command: click.Command = cilium_py
    context = click.Context(cilium_py, info_name=PROGRAM)
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command, context


def leaves() -> list[tuple[str, ...]]:
    return [path for path in every_path() if not isinstance(command_at(path)[0], click.Group)]


def call(*arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command run in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(lambda: cilium_py.main(list(arguments), prog_name=PROGRAM, standalone_mode=False))
    out.seek(0)
    return code, out.read(), err.getvalue()


@pytest.mark.parametrize("path", every_path(), ids=" ".join)
def test_help(path: tuple[str, ...]) -> None:
    code, out, err = call(*path, "--help")
    assert (code, err) == (0, "")
    assert "Usage: " in out


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    """A line of the help is a call of this very command, and every such line is understood."""
    command, context = command_at(path)
    examples = [line.strip() for line in (command.help or "").splitlines() if line.strip().startswith(PROGRAM)]
    # A group of bpf that the root has too is shown by its longer name.
    calls = [((PROGRAM, *path), len(path)), ((PROGRAM, "bpf", *path), len(path) + 1)]
    own = [(example, depth) for example in examples for call, depth in calls if example.startswith(" ".join(call))]
    assert own, f"no example in the help of {' '.join(path)}"
    for example, depth in own:
        words = list(takewhile(lambda word: word[:1] not in "|>", shlex.split(example.partition("    ")[0])))
        command.make_context(path[-1], words[1 + depth :], parent=context.parent, resilient_parsing=True)


LISTS = ("list", "pressure", "selectors", "history")
"""The names of commands that show rows."""
SHARED = ("--where", "--sort", "--limit", "--columns", "--count", "--stats", "--not")


@pytest.mark.parametrize("path", [path for path in leaves() if path[-1] in LISTS], ids=" ".join)
def test_every_list_selects(path: tuple[str, ...]) -> None:
    """With the options that every list has, and those that its rows can answer."""
    command, _ = command_at(path)
    assert isinstance(command, SelectingCommand)
    fields = command.subject.fields()
    shown = {name for option in command.selecting if not option.hidden for name in option.opts if name[:2] == "--"}
    assert shown == {*SHARED, *(option.name for option in OPTIONS if option.answers(fields))}
    for option in command.selecting:
        assert option.shell_complete(click.Context(command), "") is not None


def test_a_wrong_word_names_a_close_one() -> None:
    code, _, err = call("bpf", "ipcach")
    assert code == 2
    assert "did you mean ipcache?" in err


WORDS = st.sampled_from([
    "list", "get", "update", "delete", "flush", "match", "add", "global", "cluster", "1", "0", "-1", "65536", "host",
    "10.0.0.1", "10.0.0.0/8", "fd00::/64", "fd00::1", "::", "ingress", "egress", "80/TCP", "x", "", "é", "--yes",
    "--dry-run", "-o", "json", "yaml", "csv", "jsonpath={", "jsonpath={.x}", "--layout", "1.18", "-d", "--all", "-n",
    "--identity", "--tunnelendpoint", "--", "..", "/", "99999999999999999999", "02:00:00:00:00:01", "--count",
    "--stats", "--sort", "packets:desc", "--where", "packets > 1", "--limit", "--columns", "--dport", "--by", "--not",
])  # fmt: skip
DIGITS = "1" * 5000
"""More than Python reads as a number."""


@pytest.mark.parametrize("line", [
    "endpoint get {}", "endpoint log {}", "endpoint regenerate {}", "endpoint config 1 Debug={}",
    "ct list --service {}", "ct list --backend {}", "ct list --limit {}", "ct get 10.0.0.1:{} 10.0.0.2:1",
    "bpf policy add {} ingress 1", "version -o jsonpath={{[{}]}}", "version -o jsonpath={{[0:-]}}",
    "version -o jsonpath={{[-:]}}",
])  # fmt: skip
def test_no_number_is_a_traceback(tmp_path: Path, line: str) -> None:
    code, out, err = call("--bpf-root", str(tmp_path), "--state-dir", str(tmp_path), *line.format(DIGITS).split())
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


BPF_LEAVES = [path for path in leaves() if path[0] == "bpf" and path[1] != "fs"]


@pytest.mark.parametrize("compat", [False, True], ids=["ours", "compat"])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(BPF_LEAVES), words=st.lists(WORDS, max_size=6))
def test_no_arguments_are_a_traceback(compat: bool, tmp_path: Path, path: tuple[str, ...], words: list[str]) -> None:
    """On a node without maps every call ends in an error that says what and how to go on, or in an empty table."""
    roots = ["--bpf-root", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    code, _, err = call(*roots, *(["--compat"] if compat else []), *path, *words)
    assert code in (0, 1, 2)
    assert code == 0 or err.startswith("error: ")
    assert len(err.splitlines()) <= 3
