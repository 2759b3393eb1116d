"""A network namespace for a test process: entered, furnished by `ip` commands, left again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cilium_py.net.libc import CLONE_NEWNET, setns, unshare


@contextmanager
def own_network(commands: Sequence[str]) -> Iterator[None]:
    """Run the block in a new network namespace in which the shell commands have been run. It ends with the block."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        unshare(CLONE_NEWNET)
        try:
            for command in commands:
                subprocess.run(["sh", "-ec", command], check=True, capture_output=True, text=True)
            yield
        finally:
            setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


def pair(name: str, index: int, mac: str, peer: str, peer_index: int, peer_mac: str) -> list[str]:
    """Commands for two interfaces that are each other's end, both up."""
    return [
        f"ip link add {name} index {index} address {mac} type veth"
        f" peer name {peer} index {peer_index} address {peer_mac}",
        f"ip link set {name} up",
        f"ip link set {peer} up",
    ]


def mac_of(interface: str) -> bytes:
    """The MAC of an interface of the namespace the process is in; sysfs may show another's, /proc does not."""
    text = subprocess.run(
        ["ip", "-o", "link", "show", "dev", interface], check=True, capture_output=True, text=True
    ).stdout
    words = text.split()
    return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))
