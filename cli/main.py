"""The command tree, its root options, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cilium_py import __version__
from cilium_py.cli.context import Settings
from cilium_py.cli.streams import flush, one_line, prepare, silence
from cilium_py.cli.where import chosen_paths, complete_nodes
from cilium_py.errors import CiliumPyError, advice, said

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

INTERRUPTED, CLOSED_PIPE = 130, 141
ENDING = (signal.SIGTERM, signal.SIGHUP)
COMPLETING = "_CILIUM_PY_COMPLETE"
"""Set by the script of a shell that asks how a line may go on."""
HELP_WANTED = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What click raises for a group without a command since 8.2; before, it prints the help itself."""
WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

COMMANDS = {
    "bpf": ("cilium_py.cli.bpf", "Read and edit BPF maps directly"),
    "completion": ("cilium_py.cli.completion", "Print a shell completion script"),
    "ct": ("cilium_py.cli.ct", "Connection tracking tables (bpf ct)"),
    "doctor": ("cilium_py.cli.doctor", "Look for what is wrong with programs and their maps"),
    "endpoint": ("cilium_py.cli.endpoint", "Manage endpoints"),
    "flow": ("cilium_py.cli.flow", "Connections joined with services, NAT, identities and policy"),
    "health": ("cilium_py.cli.health", "Who reaches whom, and why not"),
    "identity": ("cilium_py.cli.identity", "Security identities and their labels"),
    "lab": ("cilium_py.cli.lab", "Nodes and pods as network namespaces, to try things"),
    "monitor": ("cilium_py.cli.monitor", "Show drops, traces and policy verdicts as they happen"),
    "nat": ("cilium_py.cli.nat", "Source NAT tables (bpf nat)"),
    "node": ("cilium_py.cli.node", "The nodes of the cluster"),
    "policy": ("cilium_py.cli.rules", "Rules that say who may talk to whom"),
    "snapshot": ("cilium_py.cli.snapshot", "Save a node to one file; read and compare such files"),
    "status": ("cilium_py.cli.status", "Show the state of the node"),
    "version": ("cilium_py.cli.version", "Print versions"),
}
"""Name -> (module that has a command of that name, summary): --help imports none of them."""


class ClosedPipe(Exception):
    """Nobody reads our output any more. Not an OSError: click would make that exit code 1."""


class Ended(BaseException):
    """A signal asks the process to end. Not an Exception: what was begun is undone on the way out, no more."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.lazy:
            module = importlib.import_module(self.lazy[name][0])
            attribute = name.replace("-", "_")
            command = getattr(module, attribute, None) or getattr(module, f"{attribute}_")
            assert isinstance(command, click.Command)
            return command
        return super().get_command(ctx, name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=self.summary(ctx, name)) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipe from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f"did you mean {close[0]}?" if close else f"{ctx.command_path} --help lists them"
            raise click.UsageError(f"{ctx.command_path} {args[0]}: no such command; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.summary(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def summary(self, ctx: click.Context, name: str) -> str:
        if name in self.lazy:
            return self.lazy[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(80) if command else ""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--bpf-root",
    envvar="CILIUM_PY_BPF_ROOT",
    show_envvar=True,
    metavar="DIR",
    type=click.Path(),
    help="bpffs of the node [/sys/fs/bpf]",
)
@click.option(
    "--state-dir", envvar="CILIUM_PY_STATE_DIR", show_envvar=True, metavar="DIR", type=click.Path(),
    help="state directory of the node [/var/run/cilium/state]",
)  # fmt: skip
@click.option(
    "--node",
    envvar="CILIUM_PY_NODE",
    show_envvar=True,
    metavar="NAME",
    shell_complete=complete_nodes,
    help="a node of the running lab",
)
@click.option(
    "--from", "recording", envvar="CILIUM_PY_FROM", show_envvar=True, metavar="FILE|DIR", type=click.Path(),
    help="read a snapshot, a directory of bpftool's dumps or a sysdump in place of a node",
)  # fmt: skip
@click.option(
    "--compat",
    is_flag=True,
    envvar="CILIUM_PY_COMPAT",
    show_envvar=True,
    help="print exactly what cilium-dbg 1.18 prints",
)
@click.option("-v", "--verbose", count=True, help="log to stderr; twice for libbpf's own messages")
@click.version_option(__version__, "--version", message="cilium-py %(version)s")
@click.pass_context
def cilium_py(
    ctx: click.Context,
    bpf_root: str | None,
    state_dir: str | None,
    node: str | None,
    recording: str | None,
    compat: bool,
    verbose: int,
) -> None:
    """A Cilium node in Python: inspect and edit the BPF maps of any Cilium node, and run the datapath.

    \b
    cilium-py bpf ct list global            connections of this node
    cilium-py bpf ipcache list -o json      machine-readable, for jq
    cilium-py lab up                        a node with two pods, to try things
    """
    if verbose:
        import logging

        level = logging.INFO if verbose == 1 else logging.DEBUG
        logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    if recording is not None:
        from cilium_py.cli.offline import recorded, refuse_both

        refuse_both(ctx)
        ctx.obj = recorded(ctx, recording, compat=compat, verbose=verbose)
        return
    ctx.obj = Settings(chosen_paths(bpf_root, state_dir, node), compat, verbose)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 wrong usage, 3 partial, 130 on Ctrl-C, 141 on a closed pipe.

    A process that is asked to end dies of that signal, as ever, once no half of anything is left.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), *((each, _end) for each in ENDING)):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, handler)
    try:
        code = run(lambda: cilium_py.main(arguments, prog_name="cilium-py", standalone_mode=False))
    except Ended as ended:
        signal.raise_signal(ended.number)
    else:
        sys.exit(code)


def _end(number: int, _frame: FrameType | None) -> None:
    """The first such signal; the next one ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    raise Ended(number)


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; what went wrong is said on stderr in one line, with a hint."""
    prepare()
    try:
        return _completed(command)
    except click.Abort as abort:
        # What click makes of Ctrl-C, and of the end of the input where it asks.
        return INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else _fail("aborted", None, 1)
    except click.ClickException as error:
        hint = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else None
        return _fail(error.format_message(), hint, 2)
    except CiliumPyError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, ClosedPipe):
        silence(sys.stdout)
        return CLOSED_PIPE
    except OSError as error:
        if error.errno == errno.EPIPE:
            silence(sys.stdout)
            return CLOSED_PIPE
        nameless = not error.filename and error.errno in WRITE_ERRORS
        return _fail(f"write error: {said(error)}" if nameless else said(error), advice(error), 1)


def _completed(command: Callable[[], Any]) -> int:
    """The exit code of a command that did not fail, once everything that it wrote has left."""
    try:
        code = command()
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except HELP_WANTED as error:
        code = 0
        click.echo(error.format_message())
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _fail(message: str, hint: str | None, code: int) -> int:
    flush(sys.stdout)
    if COMPLETING in os.environ:
        return code
    with contextlib.suppress(OSError):
        print(f"error: {one_line(message)}", file=sys.stderr)
        if hint:
            print(f"hint: {one_line(hint)}", file=sys.stderr)
    flush(sys.stderr)
    return code
