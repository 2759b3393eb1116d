"""What libbpf says while it works: to the logger "libbpf", and its warnings to whoever collects them."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cilium_py.libbpf.constants import LIBBPF_DEBUG, LIBBPF_INFO, LIBBPF_WARN
from cilium_py.libbpf.signatures import print_fn

ROOM = 16 * 1024

_collectors: list[list[str]] = []


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Collect the warnings that libbpf gives meanwhile; they say which map or program failed."""
    collected: list[str] = []
    _collectors.append(collected)
    try:
        yield collected
    finally:
        _collectors.remove(collected)


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
    # Not at the top: a command that only reads maps never hears a message, and logging is slow to import.
    import logging

    logger = logging.getLogger("libbpf")
    severity = {LIBBPF_WARN: logging.WARNING, LIBBPF_INFO: logging.INFO, LIBBPF_DEBUG: logging.DEBUG}[level]
    wanted = logger.isEnabledFor(severity)
    collected = level == LIBBPF_WARN and _collectors
    if not wanted and not collected:
        return 0
    text = _text(template, arguments).removeprefix("libbpf: ")
    if collected:
        for collector in _collectors:
            collector.append(text)
    # Without any handler, logging would print warnings on stderr by itself; only the program may print.
    if wanted and logger.hasHandlers():
        logger.log(severity, "%s", text)
    return 0


RECEIVER = print_fn(_receive)
