"""Wait until no CPU runs a program that was taken away."""

from __future__ import annotations

import ctypes
import errno
import os
import time

SYS_membarrier = {"x86_64": 324, "ppc64le": 365, "s390x": 356}
"""By machine; every machine with the generic table (aarch64, riscv64, loongarch64) has 283."""
MEMBARRIER_CMD_GLOBAL = 1

LONGER_THAN_ANY_PACKET = 0.05


def wait_for_running_programs() -> None:
    """Return when every program run that began before the call has ended.

    A program array forgets its programs with its last pin or fd, so the old one must outlive its last packet.
    The kernel answers MEMBARRIER_CMD_GLOBAL after an RCU grace period, and programs run inside RCU.
    """
    number = SYS_membarrier.get(os.uname().machine, 283)
    library = ctypes.CDLL(None, use_errno=True)
    if library.syscall(number, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0:
        return
    error = ctypes.get_errno()
    # ENOSYS, EPERM: not built in, or filtered. EINVAL: a CPU runs without ticks (nohz_full).
    if error not in (errno.ENOSYS, errno.EPERM, errno.EINVAL):
        raise OSError(error, f"membarrier: {os.strerror(error)}")
    time.sleep(LONGER_THAN_ANY_PACKET)
