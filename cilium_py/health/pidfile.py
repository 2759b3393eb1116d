"""Pid files that cannot be stale: what counts is the lock that their process holds, not the number."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from cilium_py.errors import CiliumPyError
from cilium_py.loader import state

GRACE_SECONDS = 5.0
LOOKS, LOOK_AGAIN_SECONDS = 5, 0.01
LONGEST = 20


class AlreadyRunning(CiliumPyError):
    """Another process holds the pid file."""


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Be the one process that the file names. Raises AlreadyRunning, or CiliumPyError for a file of another kind."""
    state.make_directory(path.parent)
    descriptor = _take(path)
    try:
        if not _is_pid_file(descriptor):
            raise CiliumPyError(f"{path}: not a pid file", hint="name one that does not exist yet")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def owner(path: Path) -> int | None:
    """The process that holds the file now."""
    if not state.is_locked(path):
        return None
    try:
        return int(path.read_text())
    except (ValueError, FileNotFoundError):
        return None


def end(path: Path) -> bool:
    """End the process that holds the file, by force if it does not listen; False if there was none."""
    pid = owner(path)
    if pid is None:
        return False
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if owner(path) != pid:
            # It ended meanwhile, and the number may be somebody else's.
            return False
        for wish in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, wish)
            if select.select([process], [], [], GRACE_SECONDS)[0]:
                return True
        raise CiliumPyError(f"{path}: process {pid} cannot be ended")
    finally:
        os.close(process)


def _is_pid_file(descriptor: int) -> bool:
    """Whether a file holds a number or nothing, so that it may be written over."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    content = os.pread(descriptor, LONGEST + 1, 0).strip()
    return not content or (len(content) <= LONGEST and content.isdigit())


def _take(path: Path) -> int:
    """A descriptor of the file that holds its lock.

    The holder deletes the file at its end, and `owner` locks it for a moment: both are reasons to look again.
    """
    for _ in range(LOOKS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            time.sleep(LOOK_AGAIN_SECONDS)
        os.close(descriptor)
    raise AlreadyRunning(f"{path}: process {owner(path) or '?'} runs already")
