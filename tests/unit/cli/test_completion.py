"""What a shell is offered on TAB: words, without a remark, and without importing every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-P", "-m", "cilium_py"]


def complete(line: str, shell: str = "bash", **more: str) -> str:
    """What the shell's script gets for a line whose last word, maybe empty, is being typed."""
    words = line.split(" ")
    at = words[-1] if shell == "fish" else str(len(words) - 1)
    given = {"COMP_WORDS": line, "COMP_CWORD": at, "_CILIUM_PY_COMPLETE": f"{shell}_complete", **more}
    done = subprocess.run(PROGRAM, env={**os.environ, **given}, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cilium-py ipc", "\n"),
        ("cilium-py bp", "plain,bpf\n"),
        ("cilium-py bpf ipc", "plain,ipcache\n"),
        ("cilium-py bpf lb maglev li", "plain,list\n"),
        ("cilium-py bpf ct list --time-diff-clocksource-m", "plain,--time-diff-clocksource-mode\n"),
        ("cilium-py bpf ct list -o js", "plain,json\nplain,jsonl\nplain,jsonpath=\n"),
        ("cilium-py completion ", "plain,bash\nplain,zsh\nplain,fish\n"),
        ("cilium-py endpoint config 1 Egress", "plain,EgressEnforcement=enable\nplain,EgressEnforcement=disable\n"),
        ("cilium-py --bpf-root /s", "file,/s\n"),
    ],
)
def test_offers(line: str, offered: str) -> None:
    assert complete(line) == offered


@pytest.mark.parametrize(
    "line",
    [
        "cilium-py bogus ",
        "cilium-py bpf bogus x ",
        "cilium-py bpf ipcache get bogus --",
        "cilium-py endpoint get x/y --",
    ],
)
def test_a_wrong_word_before_is_not_commented_on(line: str) -> None:
    complete(line)


@pytest.mark.parametrize(("shell", "form"), [("zsh", "plain\nidentity\n"), ("fish", "plain,identity\t")])
def test_other_shells(shell: str, form: str) -> None:
    assert complete("cilium-py ident", shell).startswith(form)


def test_bash(tmp_path: Path) -> None:
    """The script as bash has it: sourced, and its function called."""
    program = tmp_path / "cilium-py"
    program.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(cilium-py completion bash)"
        COMP_WORDS=(cilium-py bpf policyst) COMP_CWORD=2
        _cilium_py_completion cilium-py
        echo "${COMPREPLY[*]}"
    """
    surroundings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=surroundings, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("policystats\n", "")


def test_the_first_word_imports_no_command() -> None:
    read = (
        "import sys, atexit; atexit.register(lambda: print([m for m in sys.modules if m == 'cilium_py.cli.endpoint']))"
    )
    given = {"COMP_WORDS": "cilium-py ", "COMP_CWORD": "1", "_CILIUM_PY_COMPLETE": "bash_complete"}
    program = f"{read}; from cilium_py.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env={**os.environ, **given}, capture_output=True, text=True
    )
    assert "plain,monitor\n" in done.stdout
    assert done.stdout.endswith("[]\n")
