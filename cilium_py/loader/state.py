"""The state directory: files that are private and always whole, locks, directories that trade places."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cilium_py.errors import naming

D = TypeVar("D")

AT_FDCWD = -100
RENAME_EXCHANGE = 2

PAUSE = 0.01
"""Seconds between two attempts at a lock that is waited for with a limit."""


def checked(made: D) -> D:
    """What was read, if each of its fields of a plain type is of that type. Raises ValueError."""
    kind: Any = type(made)
    for name, hint in _hints(kind).items():
        value = getattr(made, name)
        if not _fits(value, hint):
            raise ValueError(f"{name} is {str(value)[:60]!r}")
    return made


@functools.cache
def _hints(kind: type) -> dict[str, Any]:  # the types behind its fields
    return get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:  # whatever is written behind a colon
    if hint in (int, str, bool, bytes):
        return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(value is None if part is NoneType else _fits(value, part) for part in parts)
    if get_origin(hint) is Mapping:
        return isinstance(value, Mapping) and all(_fits(item, parts[1]) for item in value.values())
    if get_origin(hint) is tuple and parts[1:] == (...,):
        return isinstance(value, tuple) and all(_fits(item, parts[0]) for item in value)
    return True


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, and what leads to it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def write(path: Path, text: str) -> None:
    """Write a private file: a reader, or the next run after a crash, finds the old text or the new one."""
    temporary = path.with_name(f".{path.name}.{threading.get_native_id()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with naming(path), os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, text: str) -> None:
    """Write at the end of a private file, which is made if it is not there. What is cut short stays as it is."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with naming(path), os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:  # whatever json can write
    write(path, json.dumps(value, indent=2) + "\n")


def remove_directory(path: Path) -> None:
    """Remove a directory and what is in it, if it is there; a link is removed, not followed."""
    if path.is_symlink():
        path.unlink()
        return
    for directory, directories, files in os.walk(path, topdown=False):
        for name in files:
            Path(directory, name).unlink()
        for name in directories:
            inner = Path(directory, name)
            inner.unlink() if inner.is_symlink() else inner.rmdir()
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()


def exchange(first: Path, second: Path) -> None:
    """Let two directories trade names in one step. If the second is absent, the first gets its name."""
    library = ctypes.CDLL(None, use_errno=True)
    arguments = (AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second))
    if library.renameat2(*arguments, RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.ENOENT and not second.exists():
        first.rename(second)
    elif number == errno.EINVAL:
        _exchange_in_steps(first, second)
    else:
        raise OSError(number, os.strerror(number), str(first), None, str(second))


def _exchange_in_steps(first: Path, second: Path) -> None:
    """For a file system without RENAME_EXCHANGE, such as overlayfs: the old one is set aside meanwhile."""
    aside = second.with_name(f".{second.name}.{os.getpid()}")
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


@contextlib.contextmanager
def locked(path: Path, timeout: float | None = None) -> Iterator[None]:
    """Hold a lock against other processes; it ends with the process that holds it, however that ends.

    The holder may delete the file: who waited for the lock of a deleted file goes for the new one.
    Raises TimeoutError if another has it for so many seconds.
    """
    make_directory(path.parent)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor, deadline)
            if _is_named(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _take(descriptor: int, deadline: float | None) -> None:
    if deadline is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process has the lock") from None
            time.sleep(PAUSE)
        else:
            return


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
