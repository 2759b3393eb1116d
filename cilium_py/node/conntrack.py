"""Forgetting connections: the conntrack entries of a table and the NAT mappings that exist for their sake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cilium_py.errors import MapMissing
from cilium_py.maps import nat
from cilium_py.maps.ct import NEVER, TUPLE_IN, TUPLE_OUT, Key4
from cilium_py.schema.decoder import member_of
from cilium_py.table import OpenTable, open_source

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

DSR_INTERNAL = 1 << 7
TRANSLATED = member_of(nat.Entry4, "to_saddr").offset
"""Where a mapping has the address, and after it the port, that a connection is translated to."""


def forget(table: OpenTable[Any], cluster_id: int | None = None, *, keep_static: bool = False) -> int:
    """Delete the connections of a conntrack table and their NAT mappings; return how many connections there were.

    With `keep_static`, entries that never expire stay, as they do with cilium-dbg. Connections made meanwhile may
    survive.
    """
    with ExitStack() as stack:
        mappings = _mappings(table, cluster_id, stack)
        if mappings is None and table.narrow is None and not keep_static:
            return sum(batch.count for batch in table.map.take_batches())
        return sum(_forget_batch(table, batch, mappings, keep_static) for batch in table.batches())


def _forget_batch(
    table: OpenTable[Any], batch: Batch, mappings: OpenTable[nat.Row] | None, keep_static: bool
) -> int:  # fmt: skip
    doomed, mapped = bytes(batch.keys), bytearray()
    if keep_static or mappings is not None:
        size, kept = table.layout.key.size, []
        values: Iterator[Any] = table.layout.value.unpack_many(batch.values)
        for start, entry in zip(range(0, len(doomed), size), values, strict=True):
            key = doomed[start : start + size]
            if keep_static and entry.lifetime == NEVER:
                continue
            kept.append(key)
            if mappings is not None and key[-1] == TUPLE_OUT:
                mapped += _mapping_keys(mappings, key, bool(entry.flags & DSR_INTERNAL))
        doomed = b"".join(kept)
    if mapped and mappings is not None:
        mappings.map.delete_batch(mapped)
    return table.map.delete_batch(doomed) if doomed else 0


def _mappings(table: OpenTable[Any], cluster_id: int | None, stack: ExitStack) -> OpenTable[nat.Row] | None:
    """The NAT table of the same family and scope, or None where there is no translation."""
    family = 4 if issubclass(table.layout.key, Key4) else 6
    sources = nat.CLUSTER if cluster_id is not None else nat.MAP.sources
    source = next(source for source in sources if source.family == family)
    try:
        opened = stack.enter_context(open_source(source, table.path.parent, cluster_id, read_only=False))
    except MapMissing:
        return None
    return None if next(opened.map.keys(), None) is None else opened


def _mapping_keys(mappings: OpenTable[nat.Row], key: bytes, direct_return: bool) -> bytes:
    """The keys of the NAT mapping of an outgoing flow and of the one of its replies.

    A flow's key is stored turned round, with the ports of the packet: the mapping has the addresses exchanged. The
    key of a direct server return is the other way about.
    """
    size = mappings.layout.key.members[0].size
    daddr, saddr, ports, protocol = key[:size], key[size : 2 * size], key[2 * size : -2], key[-2:-1]
    if direct_return:
        return daddr + saddr + ports[2:] + ports[:2] + protocol + bytes([TUPLE_OUT])
    out = saddr + daddr + ports + protocol + bytes([TUPLE_OUT])
    found = mappings.map.lookup(out)
    if found is None:
        return b""
    to_address, to_port = found[TRANSLATED : TRANSLATED + size], found[TRANSLATED + size : TRANSLATED + size + 2]
    return out + to_address + saddr + to_port + ports[:2] + protocol + bytes([TUPLE_IN])
