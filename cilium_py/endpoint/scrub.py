"""Forget the connections of an address, so that whoever has it next inherits none of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

from cilium_py.bpf.map import BpfMap
from cilium_py.paths import NodePaths

Address: TypeAlias = IPv4Address | IPv6Address

TABLES = {
    4: ("cilium_ct4_global", "cilium_ct_any4_global"),
    6: ("cilium_ct6_global", "cilium_ct_any6_global"),
}
"""By IP version. A key begins with the destination address, then the source address."""


def forget_connections(paths: NodePaths, addresses: Iterable[Address]) -> int:
    """Delete every conntrack entry of these addresses; return how many there were."""
    pairs = [(paths.globals / table, own.packed) for own in addresses for table in TABLES[own.version]]
    return sum(_forget(pin, address) for pin, address in pairs)


def _forget(pin: Path, address: bytes) -> int:
    with contextlib.ExitStack() as stack:
        try:
            table = stack.enter_context(BpfMap.open(pin, read_only=False))
        except FileNotFoundError:
            return 0
        found = b"".join(
            key for batch in table.batches() for key in _having(bytes(batch.keys), table.key_size, address)
        )
        return table.delete_batch(found) if found else 0


def _having(keys: bytes, size: int, address: bytes) -> Iterator[bytes]:
    """The keys, each of `size` bytes, that have the address at either end of the connection."""
    if address not in keys:
        return
    width = len(address)
    for start in range(0, len(keys), size):
        if address in (keys[start : start + width], keys[start + width : start + 2 * width]):
            yield keys[start : start + size]
