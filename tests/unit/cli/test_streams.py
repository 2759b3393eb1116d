"""stdout, stderr and stdin in every state that a caller can leave them in: no traceback, and the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from cilium_py.cli.streams import LONGEST_MESSAGE, one_line, printable

PROGRAM = f"{sys.executable} -P -m cilium_py"


class Case(NamedTuple):
    """A call with its redirections, and what comes of it."""

    call: str
    code: int
    error: str = ""


CASES = [
    Case("version >/dev/full", 1, "error: write error: No space left on device\n"),
    Case("--help >/dev/full", 1, "error: write error: No space left on device\n"),
    Case("bpf >/dev/full", 1, "error: write error: No space left on device\n"),
    Case("version >&-", 1, "error: write error: Bad file descriptor\n"),
    Case("version -o json >&-", 1, "error: write error: Bad file descriptor\n"),
    Case("version <&- >&-", 1, "error: write error: Bad file descriptor\n"),
    Case("--bpf-root /nowhere bpf ipcache list >&-", 1, "error: /nowhere/tc/globals/cilium_ipcache_v2: no such map\n"),
    Case("version 2>&-", 0),
    Case("version <&- 2>&-", 0),
    Case("version 2>/dev/full", 0),
    Case("version </dev/null >&- 2>&-", 1),
    Case("bpf ipcach 2>&-", 2),
    Case("bpf ipcach 2>/dev/full", 2),
    Case("completion bash | head -n0", 0),
]


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.call)
def test_redirections(case: Case, unbuffered: str) -> None:
    surroundings = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = ["bash", "-c", f"{PROGRAM} {case.call}"]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings)
    said = done.stderr.partition("hint: ")[0]
    assert (done.returncode, said) == (case.code, case.error)


def test_what_goes_to_stderr_does_not_end_up_in_stdout() -> None:
    done = subprocess.run(["bash", "-c", f"{PROGRAM} bpf ipcach 2>&-"], capture_output=True, text=True)
    assert done.stdout == ""


def test_a_remark_that_cannot_be_said_is_no_failure() -> None:
    saying = "from cilium_py.cli.context import say; say('a remark'); print('done')"
    command = ["bash", "-c", f'{sys.executable} -P -c "{saying}" 2>/dev/full']
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cilium_é", "cilium_é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb", "a\\rb"),
        ("left\u202eright", "left\\u202eright"),
        ("\udcff", "\\udcff"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_message_is_one_line_of_bearable_length() -> None:
    assert one_line("two\nlines") == "two lines"
    assert len(one_line("x" * 100_000)) < LONGEST_MESSAGE + 10


def test_ctrl_c_ends_with_130_and_says_nothing() -> None:
    waiting = "import time, sys; from cilium_py.cli import main; sys.exit(main.run(lambda: time.sleep(60)))"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"print('ready', flush=True); {waiting}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_to_end_undoes_what_was_begun(number: signal.Signals) -> None:
    """And dies of the signal."""
    program = """
import time
from cilium_py.cli import main

def begin(_):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("undone", flush=True)

main.run = begin
main.main([])
"""
    with subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said, _ = process.communicate(timeout=10)
    assert (process.returncode, said) == (-number, "undone\n")


@pytest.mark.parametrize("ignored", [False, True], ids=["default", "ignored"])
def test_ctrl_c_at_the_start_shows_no_traceback(ignored: bool) -> None:
    """While the modules are imported; who was started with the signal ignored goes on ignoring it."""
    handler = "signal.signal(signal.SIGINT, signal.SIG_IGN)" if ignored else ""
    program = f"""
import signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "cilium_py.cli.main":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
{handler}
from cilium_py.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0 if ignored else -signal.SIGINT, "")
