"""perf_event_open(2), as far as a reader of BPF output needs it."""

from __future__ import annotations

import ctypes
import os
from ctypes import c_int32, c_uint32, c_uint64

from cilium_py.libbpf.checkers import failure
from cilium_py.libbpf.syscall import syscall

PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_BPF_OUTPUT = 10
PERF_SAMPLE_TIME = 1 << 2
PERF_SAMPLE_RAW = 1 << 10
PERF_FORMAT_LOST = 1 << 4
PERF_FLAG_FD_CLOEXEC = 1 << 3
PERF_RECORD_LOST = 2
PERF_RECORD_SAMPLE = 9

# Bits of perf_event_attr that C declares as bit fields.
ATTR_WATERMARK = 1 << 14
ATTR_USE_CLOCKID = 1 << 25

DATA_HEAD = 1024
DATA_TAIL = 1032
"""Offsets of data_head and data_tail in struct perf_event_mmap_page."""

_NUMBERS = {
    "x86_64": 298,
    "aarch64": 241,
    "riscv64": 241,
    "loongarch64": 241,
    "s390x": 331,
    "ppc64le": 319,
}


class perf_event_attr(ctypes.Structure):
    """struct perf_event_attr, PERF_ATTR_SIZE_VER3."""

    _fields_ = (
        ("type", c_uint32),
        ("size", c_uint32),
        ("config", c_uint64),
        ("sample_period", c_uint64),
        ("sample_type", c_uint64),
        ("read_format", c_uint64),
        ("flags", c_uint64),
        ("wakeup_watermark", c_uint32),
        ("bp_type", c_uint32),
        ("config1", c_uint64),
        ("config2", c_uint64),
        ("branch_sample_type", c_uint64),
        ("sample_regs_user", c_uint64),
        ("sample_stack_user", c_uint32),
        ("clockid", c_int32),
    )


def perf_event_open(attributes: perf_event_attr, cpu: int) -> int:
    """Open an event for every process on one CPU; return its fd."""
    number = _NUMBERS[os.uname().machine]
    attributes.size = ctypes.sizeof(attributes)
    fd = syscall()(number, ctypes.byref(attributes), -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)
    if fd < 0:
        raise failure(ctypes.get_errno(), f"perf_event_open on CPU {cpu}")
    return int(fd)
