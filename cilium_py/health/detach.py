"""Going on in the background, once all is in place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from cilium_py.errors import CiliumPyError, advice, said

READY = b"+"

Ready = Callable[[], None]


def detach(work: Callable[[Ready], None]) -> None:
    """Run `work` in a process of its own, and return when it calls its argument. Raises CiliumPyError if it never did.

    The process belongs to nobody: it has no terminal, and init takes its exit code.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        if os.fork() == 0:
            _become_background(work, writer)
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read()
    if message == READY:
        return
    if not message:
        raise CiliumPyError("the background process ended before it was ready")
    raise CiliumPyError(*json.loads(message))


def _become_background(work: Callable[[Ready], None], writer: int) -> None:
    code = 1
    try:
        os.chdir("/")
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        os.close(nowhere)
        work(lambda: _tell(writer))
        code = 0
    except Exception as error:
        os.write(writer, json.dumps(_told(error)).encode())
    finally:
        os._exit(code)


def _told(error: Exception) -> tuple[str, str | None]:
    """Message and hint."""
    return said(error), advice(error)


def _tell(writer: int) -> None:
    os.write(writer, READY)
    os.close(writer)
