"""Taking a lab away, whatever there is of it: processes, namespaces, mounts, files."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from cilium_py.bpf.pins import is_bpffs
from cilium_py.loader import state
from cilium_py.net import libc
from cilium_py.net.namespace import NetNamespace

from .registry import Lab

GRACE_SECONDS = 2.0


def down(root: Path) -> bool:
    """Remove the lab below the root, complete or not; False if there is none."""
    lock = Lab(root).lock
    if not root.exists() and not lock.exists():
        return False
    with state.locked(lock):
        lab = Lab.find(root)
        if lab is not None:
            remove(lab)
        give_up(lock)
    return lab is not None


def give_up(lock: Path) -> None:
    """Remove the lock that we hold, and the directory around it if nothing else is there."""
    lock.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        lock.parent.rmdir()


def remove(lab: Lab) -> None:
    """End the processes that run in the lab, and remove everything that `up` makes."""
    names = [lab.netns(name) for name in ("net", *lab.node_names, *(pod.name for pod in lab.pods))]
    names += map(lab.health_netns, lab.node_names)
    namespaces = [NetNamespace.named(name) for name in names]
    end_processes([namespace for namespace in namespaces if namespace.exists()])
    for name in lab.node_names:
        _unmount(lab.paths(name).bpf_root)
    for namespace in namespaces:
        namespace.delete()
    state.remove_directory(lab.root)


def end_processes(namespaces: list[NetNamespace]) -> None:
    """Ask every process inside to end, and end those that do not."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(namespaces):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, wish)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(processes(namespaces)) and time.monotonic() < deadline:
            time.sleep(0.02)


def processes(namespaces: list[NetNamespace]) -> Iterator[int]:
    """Every process in one of the namespaces, but this one."""
    inside = {(found.st_dev, found.st_ino) for found in (n.path.stat() for n in namespaces)}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                found = (entry / "ns" / "net").stat()
                if (found.st_dev, found.st_ino) in inside:
                    yield int(entry.name)


def _unmount(bpf_root: Path) -> None:
    """With the file system go the pins, with the pins the programs and the maps."""
    while bpf_root.exists() and is_bpffs(bpf_root):
        libc.unmount(bpf_root)
