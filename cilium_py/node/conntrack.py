"""Forgetting connections: the conntrack entries of a table and the NAT mappings that exist for their sake."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from cilium_py.errors import MapMissing
from cilium_py.maps import nat
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, Key4, Key6
from cilium_py.table import OpenTable, open_source

NEVER = 0xFFFFFFFF
"""The lifetime of an entry that no garbage collection removes."""
DSR_INTERNAL = 1 << 7


def forget(table: OpenTable[Any], cluster_id: int | None = None, *, keep_static: bool = False) -> int:
    """Delete the connections of a conntrack table and their NAT mappings; return how many connections there were.

    With `keep_static`, entries that never expire stay, as they do with cilium-dbg. Connections made meanwhile may
    survive.
    """
    count = 0
    with ExitStack() as stack:
        mappings = _mappings(table, cluster_id, stack)
        key_type, value_type = table.layout.key, table.layout.value
        for batch in table.batches():
            doomed = bytearray()
            key: Any
            entry: Any
            for key, entry in zip(key_type.unpack_many(batch.keys), value_type.unpack_many(batch.values), strict=True):
                if keep_static and entry.lifetime == NEVER:
                    continue
                doomed += key.pack()
                if mappings is not None and key.flags == TUPLE_OUT:
                    _forget_mapping(mappings, key, bool(entry.flags & DSR_INTERNAL))
            count += table.map.delete_batch(bytes(doomed)) if doomed else 0
    return count


def _mappings(table: OpenTable[Any], cluster_id: int | None, stack: ExitStack) -> OpenTable[nat.Row] | None:
    """The NAT table of the same family and scope, or None where there is no NAT."""
    family = 4 if issubclass(table.layout.key, Key4) else 6
    sources = nat.CLUSTER if cluster_id is not None else nat.MAP.sources
    source = next(source for source in sources if source.family == family)
    try:
        return stack.enter_context(open_source(source, table.path.parent, cluster_id, read_only=False))
    except MapMissing:
        return None


def _forget_mapping(mappings: OpenTable[nat.Row], key: Key4 | Key6, direct_return: bool) -> None:
    """Delete the NAT mapping of an outgoing flow and the one of its replies.

    A flow's key is stored turned round, with the ports of the packet: the mapping has the addresses exchanged. The
    key of a direct server return is the other way about.
    """
    struct = type(key)
    if direct_return:
        turned = struct(
            daddr=key.daddr, saddr=key.saddr, dport=key.sport, sport=key.dport, nexthdr=key.nexthdr, flags=TUPLE_OUT
        )
        mappings.map.delete(turned.pack())
        return
    out = struct(
        daddr=key.saddr, saddr=key.daddr, dport=key.dport, sport=key.sport, nexthdr=key.nexthdr, flags=TUPLE_OUT
    )
    found = mappings.map.lookup(out.pack())
    if found is None:
        return
    entry: Any = mappings.layout.value.unpack(found)
    back = struct(
        daddr=entry.to_saddr,
        saddr=out.daddr,
        dport=entry.to_sport,
        sport=out.dport,
        nexthdr=key.nexthdr,
        flags=TUPLE_IN,
    )
    mappings.map.delete(out.pack())
    mappings.map.delete(back.pack())
