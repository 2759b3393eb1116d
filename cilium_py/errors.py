"""Every error a caller may catch: what went wrong, what to do next, and the exit code it means."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


class CiliumPyError(Exception):
    """An expected failure: one line that says what, where and why, and a hint for the next step."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class WrongUsage(CiliumPyError):
    """The words given cannot be acted on: a bad address, an unknown field, an id out of range."""

    exit_code = 2


class Partial(CiliumPyError):
    """What was printed is true but not complete."""

    exit_code = 3


class NotPermitted(CiliumPyError):
    """The kernel refused for want of privilege."""


class MapMissing(CiliumPyError):
    """No map is pinned at that path."""


class LayoutMismatch(CiliumPyError):
    """The map's shape is none that is known for its name; nothing was guessed."""


class WrongSize(LayoutMismatch, ValueError):
    """Bytes for a map that takes more or fewer: it is not the map that was meant."""


class LibraryMissing(CiliumPyError):
    """A shared library or tool this command needs is not installed."""


class EndpointMissing(CiliumPyError):
    """No endpoint has that id."""


class RegenerationFailed(CiliumPyError):
    """A new program could not be put in place; the old one still runs."""


class CompilationFailed(CiliumPyError):
    """The compiler refused the source. `log` is all that it said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


ADVICE = {
    errno.EPERM: "run as root",
    errno.EACCES: "run as root",
    errno.EROFS: "that file system is mounted read-only; mount -o remount,rw makes it writable",
    errno.ENOSPC: "make room on that file system",
    errno.EDQUOT: "make room on that file system",
}


def said(error: BaseException) -> str:
    """What went wrong, in words: of an OSError which file and why, without its number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


@contextmanager
def naming(path: PathLike[str]) -> Iterator[None]:
    """Have an OSError inside say which file it is about: that of a write does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def advice(error: BaseException) -> str | None:
    """What to do about it, if that can be said."""
    return ADVICE.get(error.errno or 0) if isinstance(error, OSError) else getattr(error, "hint", None)
