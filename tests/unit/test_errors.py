"""What errors say to people."""

from __future__ import annotations

import errno
import os

import pytest

from cilium_py.errors import CiliumPyError, advice, said


@pytest.mark.parametrize(
    ("error", "words", "hint"),
    [
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS), "/run/x"),
            "/run/x: Read-only file system",
            "read-only; mount -o",
        ),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x"), "/run/x: No space left on device", "make room"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied", "run as root"),
        (OSError(errno.EINVAL, "load it: Invalid argument"), "load it: Invalid argument", None),
        (OSError("libbpf.so.1: cannot open"), "libbpf.so.1: cannot open", None),
        (CiliumPyError("no such map", "run it here"), "no such map", "run it here"),
        (TimeoutError(), "TimeoutError", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_no_number_of_an_error_is_shown(error: Exception, words: str, hint: str | None) -> None:
    assert said(error) == words
    assert (advice(error) is None) == (hint is None)
    assert (hint or "") in (advice(error) or "")
