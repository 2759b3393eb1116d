"""bpf(2) itself, for what libbpf 1.1 does not wrap: the order of programs on a tcx hook, and the query of it."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from ctypes import c_uint32, c_uint64

from cilium_py.libbpf.checkers import failure

_NUMBERS = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "s390x": 351,
    "ppc64le": 361,
}

BPF_PROG_QUERY = 16
BPF_LINK_CREATE = 28


class query(ctypes.Structure):
    """union bpf_attr for BPF_PROG_QUERY, with the members that Linux 6.6 added for tcx."""

    _fields_ = (
        ("target_fd", c_uint32),
        ("attach_type", c_uint32),
        ("query_flags", c_uint32),
        ("attach_flags", c_uint32),
        ("prog_ids", c_uint64),
        ("count", c_uint32),
        ("pad", c_uint32),
        ("prog_attach_flags", c_uint64),
        ("link_ids", c_uint64),
        ("link_attach_flags", c_uint64),
        ("revision", c_uint64),
    )


class link_create(ctypes.Structure):
    """union bpf_attr for BPF_LINK_CREATE on a tcx hook, since Linux 6.6."""

    _fields_ = (
        ("prog_fd", c_uint32),
        ("target_ifindex", c_uint32),
        ("attach_type", c_uint32),
        ("flags", c_uint32),
        ("relative_fd", c_uint32),
        ("pad", c_uint32),
        ("expected_revision", c_uint64),
    )


@functools.cache
def syscall() -> Callable[..., int]:
    """The C library's function: a number and arguments as ctypes values; -1 and errno where the kernel refuses."""
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    return function


def bpf(command: int, attributes: ctypes.Structure, operation: str) -> int:
    """Issue one command; return what it returns, an fd or 0."""
    number = _NUMBERS[os.uname().machine]
    result = syscall()(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        raise failure(ctypes.get_errno(), operation)
    return int(result)
