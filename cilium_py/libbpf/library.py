"""The loaded library: each function of the signature table bound when first used."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from cilium_py.errors import LibraryMissing
from cilium_py.libbpf.messages import RECEIVER
from cilium_py.libbpf.signatures import SIGNATURES

NAME = "libbpf.so.1"
OLDEST = (1, 1)


class Library:
    """libbpf's functions under their C names, with argument types set and failures raised as OSError."""

    def __init__(self, shared: ctypes.CDLL) -> None:
        self._shared = shared

    def __getattr__(self, name: str) -> Callable[..., Any]:  # a foreign function; its types are in SIGNATURES
        signature = SIGNATURES.get(name)
        if signature is None:
            raise AttributeError(name)
        try:
            function = getattr(self._shared, name)
        except AttributeError as error:
            raise LibraryMissing(f"{NAME} has no function {name}", hint="libbpf 1.1 or newer is needed") from error
        function.restype, function.argtypes = signature.result, signature.arguments
        if signature.check is not None:
            function.errcheck = signature.check
        setattr(self, name, function)
        return function  # type: ignore[no-any-return]  # ctypes functions are untyped


@functools.cache
def library() -> Library:
    """Load libbpf, once."""
    try:
        shared = ctypes.CDLL(NAME, use_errno=True)
    except OSError as error:
        raise LibraryMissing(
            f"{NAME} cannot be loaded: {error}",
            hint="apt install libbpf1 (Debian, Ubuntu) or dnf install libbpf (Fedora, RHEL)",
        ) from error
    loaded = Library(shared)
    version = (loaded.libbpf_major_version(), loaded.libbpf_minor_version())
    if version < OLDEST:
        raise LibraryMissing(
            "libbpf {}.{} is too old".format(*version), hint="libbpf {}.{} or newer is needed".format(*OLDEST)
        )
    loaded.libbpf_set_print(RECEIVER)
    return loaded


@functools.cache
def possible_cpus() -> int:
    """How many CPUs the kernel may ever have; a per-CPU value has a slot for each."""
    return int(library().libbpf_num_possible_cpus())
