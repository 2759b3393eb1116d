"""Wait until no CPU runs a program that was taken away."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time

SYS_membarrier = {"x86_64": 324, "ppc64le": 365, "s390x": 356}
"""By machine; every machine with the generic table (aarch64, riscv64, loongarch64) has 283."""
MEMBARRIER_CMD_GLOBAL = 1

LONGER_THAN_ANY_PACKET = 0.05


class GracePeriod:
    """The time until every program run that is under way now has ended. It passes by itself from the start."""

    def __init__(self) -> None:
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._pass, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _pass(self) -> None:
        try:
            wait_for_running_programs()
        except OSError as error:
            self._error = error


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
