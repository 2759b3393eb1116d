"""The three streams of the process: present even if the caller closed them, and given only what a terminal can bear."""

from __future__ import annotations

import contextlib
import os
import sys
from io import TextIOWrapper
from typing import TextIO

LONGEST_MESSAGE = 1000


def prepare() -> None:
    """Take the descriptors 0 to 2 that the caller closed, lest a map or a socket get their number.

    Writing to such a stdout fails with EBADF; to such a stderr goes what nobody reads. What the encoding of stdout
    cannot express is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            assert null == number
            setattr(sys, name, open(null, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def flush(stream: TextIO) -> None:
    """Let everything that was written leave; what cannot is dropped."""
    try:
        stream.flush()
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Nobody reads it any more: keep the interpreter from complaining about that at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def printable(text: str) -> str:
    """Text with control characters, and bytes that are no UTF-8, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(message: str) -> str:
    """A message as one printable line of bearable length."""
    line = printable(" ".join(message.split()))
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}..."
