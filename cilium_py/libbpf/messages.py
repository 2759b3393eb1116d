"""What libbpf says while it works: to the logger "libbpf", and its warnings to whoever collects them."""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cilium_py.libbpf.constants import LIBBPF_DEBUG, LIBBPF_INFO, LIBBPF_WARN
from cilium_py.libbpf.signatures import print_fn

ROOM = 16 * 1024

_lock = threading.Lock()
_collectors: list[list[str]] = []
_silences: list[object] = []


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Collect the warnings that libbpf gives meanwhile; they say which map or program failed."""
    collected: list[str] = []
    with _among(_collectors, collected):
        yield collected


@contextmanager
def silence() -> Iterator[list[str]]:
    """Have libbpf call nobody meanwhile, unless somebody else listens; what it yields stays empty.

    A load gives a thousand messages. Each of them waits until the interpreter is free, so that a load that other
    threads are to work beside stands still.
    """
    with _among(_silences, object()):
        yield []


@contextmanager
def _among(others: list[Any], one: object) -> Iterator[None]:
    from cilium_py.libbpf.library import library

    def choose() -> None:
        heard = _collectors or not _silences or any(map(_log_of, (LIBBPF_WARN, LIBBPF_INFO, LIBBPF_DEBUG)))
        library().libbpf_set_print(RECEIVER if heard else NOBODY)

    with _lock:
        others.append(one)
        choose()
    try:
        yield
    finally:
        with _lock:
            others[:] = (other for other in others if other is not one)
            choose()


@functools.cache
def _vsnprintf() -> Any:  # a foreign function
    function = ctypes.CDLL(None).vsnprintf
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)
    return function


def _text(template: bytes, arguments: int) -> str:
    room = ctypes.create_string_buffer(ROOM)
    _vsnprintf()(room, ROOM, template, arguments)
    return room.value.decode(errors="replace").rstrip()


def _receive(level: int, template: bytes, arguments: int) -> int:
    log = _log_of(level)
    collected = level == LIBBPF_WARN and _collectors
    if log is None and not collected:
        return 0
    text = _text(template, arguments).removeprefix("libbpf: ")
    if collected:
        for collector in _collectors:
            collector.append(text)
    if log is not None:
        log("%s", text)
    return 0


def _log_of(level: int) -> Callable[..., None] | None:
    """Where a message of that level goes; None if nobody listens."""
    # Where logging was never imported nobody set up a handler. It is slow to import, and a load gives hundreds of
    # messages at debug level. Another thread may be about to import it.
    logging = sys.modules.get("logging")
    if not hasattr(logging, "getLogger"):
        return None
    assert logging is not None
    logger = logging.getLogger("libbpf")
    severity, log = {
        LIBBPF_WARN: (logging.WARNING, logger.warning),
        LIBBPF_INFO: (logging.INFO, logger.info),
        LIBBPF_DEBUG: (logging.DEBUG, logger.debug),
    }[level]
    # Without any handler, logging would print warnings on stderr by itself; only the program may print.
    return log if logger.isEnabledFor(severity) and logger.hasHandlers() else None


RECEIVER = print_fn(_receive)
NOBODY = print_fn()
