"""A netlink socket of one network namespace; the kernel's refusals as OSError."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .namespace import NetNamespace, inside

if TYPE_CHECKING:
    from pyroute2 import IPRoute as IPRoute  # the name of its type, for the layers above


@contextlib.contextmanager
def netlink(namespace: NetNamespace | None = None) -> Iterator[IPRoute]:
    """Talk to the namespace's netlink. Meanwhile the calling thread is inside: sysctls are its too."""
    from pyroute2 import IPRoute

    with inside(namespace), IPRoute() as socket:
        yield socket


@contextlib.contextmanager
def naming(operation: str) -> Iterator[None]:
    """Say in an OSError what it was that the kernel refused."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"{operation}: {os.strerror(error.code)}") from error
