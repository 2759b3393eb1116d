"""Error checkers: how a C function says that it failed, turned into OSError with operation and path."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

# A checker sees whatever its C function takes and returns, hence Any.
Checker = Callable[[Any, Any, tuple[Any, ...]], Any]

ENOTSUPP = 524
"""The kernel's "no such operation here". It leaks to user space but has no name in errno(3)."""

_NAMELESS = {
    ENOTSUPP: "Operation not supported here (ENOTSUPP)",
    # enum libbpf_errno
    4000: "Something wrong in libelf",
    4001: "BPF object format invalid",
    4002: "'version' section incorrect or lost",
    4003: "Endian mismatch",
    4004: "Internal error in libbpf",
    4005: "Relocation failed",
    4006: "Failed to load program",
    4007: "Verifier rejected the program",
    4008: "Program too big",
    4009: "Kernel does not support this program",
    4010: "Kernel version doesn't match",
    4011: "Cannot parse netlink message",
    4012: "Netlink error",
    4013: "Incorrect netlink sequence number",
    4014: "Operation failed, see the messages above",
}


def reason(code: int) -> str:
    """Describe an errno, the kernel's and libbpf's own numbers included."""
    return _NAMELESS.get(code) or os.strerror(code)


def failure(code: int, operation: str, path: str | bytes | os.PathLike[str] | None = None) -> OSError:
    """Build the OSError for a failed operation; Python picks PermissionError, FileNotFoundError and so on."""
    text = f"{operation}: {reason(code)}"
    return OSError(code, text) if path is None else OSError(code, text, os.fsdecode(path))


def negative_is_errno(result: int, function: Any, _: tuple[Any, ...]) -> int:
    if result < 0:
        raise failure(-result, function.__name__)
    return result


def null_is_errno(result: int | None, function: Any, _: tuple[Any, ...]) -> int:
    if not result:
        raise failure(ctypes.get_errno(), function.__name__)
    return result


def negative_is_errno_of(index: int) -> Checker:
    """Like negative_is_errno, and name the path that is argument number `index`."""

    def check(result: int, function: Any, arguments: tuple[Any, ...]) -> int:
        if result < 0:
            raise failure(-result, function.__name__, arguments[index])
        return result

    return check


def null_is_errno_of(index: int) -> Checker:
    """Like null_is_errno, and name the path that is argument number `index`."""

    def check(result: int | None, function: Any, arguments: tuple[Any, ...]) -> int:
        if not result:
            raise failure(ctypes.get_errno(), function.__name__, arguments[index])
        return result

    return check
