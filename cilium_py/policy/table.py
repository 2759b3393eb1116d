"""Policy maps in the kernel: read, brought to what the rules want, sized by need."""

from __future__ import annotations

import errno
import functools
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.own import own_map
from cilium_py.errors import CiliumPyError, LayoutMismatch
from cilium_py.maps import policy as shape
from cilium_py.maps.policy import DENY, EXPLICIT_AUTH, FULL_BITS, PREFIX_SHIFT, STATIC_BITS
from cilium_py.schema.struct import swap

from .changes import Changes, Step, plan
from .desired import DesiredPolicy
from .mapstate import ALLOW, ANYONE, Entry, Key
from .ports import EVERYTHING, L4
from .rule import Direction

LEAST_ROOM, MOST_ENTRIES = 1 << 14, 1 << 16
"""The room of a map at first, and the most entries that Cilium lets a policy map have."""

_swapped = functools.lru_cache(1 << 16)(lambda port: swap(port, 2))
# The records as they lie in memory: there may be fifty thousand of them, and naming each field takes its time.
_KEY, _VALUE = shape.Key.format, shape.Entry.format


class PolicyMapFull(CiliumPyError):
    """The rules want more entries than a policy map can have."""


class PolicyMapTooSmall(CiliumPyError):
    """The map has no room for the old and the new entries at once; a larger one has."""


def pack_key(key: Key) -> bytes:
    protocol, port, bits = key.l4
    return _KEY.pack(STATIC_BITS + bits, key.identity, key.direction, protocol, _swapped(port))


def unpack_key(data: bytes) -> Key | None:
    """None if no policy of ours could have written it."""
    length, identity, direction, protocol, port = _KEY.unpack(data)
    if direction not in (0, 1) or not STATIC_BITS <= length <= STATIC_BITS + FULL_BITS:
        return None
    return Key(Direction(direction), identity, L4(protocol, _swapped(port), length - STATIC_BITS))


def pack_value(key: Key, entry: Entry) -> bytes:
    flags = DENY * entry.deny | key.l4.bits << PREFIX_SHIFT
    auth = entry.auth | EXPLICIT_AUTH * entry.explicit_auth
    return _VALUE.pack(_swapped(entry.proxy_port), flags, auth, entry.priority, 0, 0)


def unpack_value(data: bytes) -> Entry:
    port, flags, auth, priority, *_ = _VALUE.unpack(data)
    explicit = bool(auth & EXPLICIT_AUTH)
    return Entry(bool(flags & DENY), _swapped(port), priority, auth & ~EXPLICIT_AUTH, explicit)


def policy_map(pin: Path, *, read_only: bool = True) -> BpfMap:
    """Raises FileNotFoundError, or LayoutMismatch for a map that our programs do not read so."""
    return own_map(shape.MAP.source("cilium_policy_v2_{}").layout("1.18"), pin, read_only=read_only)


def read(table: BpfMap) -> dict[Key, Entry]:
    """The entries of a map, less those that no policy could have written."""
    entries = ((unpack_key(key), value) for key, value in table.entries())
    return {key: unpack_value(value) for key, value in entries if key is not None}


def room_for(wanted: int) -> int:
    """The size of a map for so many entries, with room to replace them all at once."""
    return max(LEAST_ROOM, 1 << (2 * wanted - 1).bit_length() if wanted else 0)


def check_size(policy: DesiredPolicy) -> None:
    """Raise PolicyMapFull, naming the rules that fill the map."""
    if len(policy.entries) > MOST_ENTRIES:
        largest = "; ".join(f"{rule} ({entries})" for rule, entries in policy.largest())
        raise PolicyMapFull(
            f"the rules want {len(policy.entries)} entries of a policy map that can have {MOST_ENTRIES}: {largest}",
            hint="select fewer identities, or ports by ranges that are powers of two",
        )


def fits(pin: Path, policy: DesiredPolicy) -> bool:
    """Whether the map that is pinned there, if any, is ours and has room to get from its entries to these."""
    check_size(policy)
    try:
        with policy_map(pin) as table:
            wanted = set(map(pack_key, policy.entries))
            return len(wanted.union(key for key, _ in table.entries())) <= table.info.max_entries
    except FileNotFoundError:
        return len(policy.entries) <= LEAST_ROOM
    except LayoutMismatch:
        return False


def apply(table: BpfMap, policy: DesiredPolicy) -> Changes:
    """Bring a map to the policy, touching no entry that stays. See `changes` for the order.

    Raises PolicyMapTooSmall before anything is written.
    """
    check_size(policy)
    present = dict(table.entries())
    wanted = {pack_key(key): pack_value(key, entry) for key, entry in policy.entries.items()}
    if len(present.keys() | wanted.keys()) > table.info.max_entries:
        raise PolicyMapTooSmall(
            f"the policy map has room for {table.info.max_entries} entries, too few to replace {len(present)} by"
            f" {len(wanted)} while packets pass"
        )
    old, foreign = _decoded(present.items() - wanted.items())
    # In the order of the policy: neighbours in the trie are written one after the other.
    both = zip(policy.entries.items(), wanted.items(), strict=True)
    new = {key: entry for (key, entry), (data, value) in both if present.get(data) != value}
    for key in [key for key, entry in new.items() if old.get(key) == entry]:
        # The same verdict, but not as we write it: with another prefix length, say.
        table.update(pack_key(key), pack_value(key, new[key]))
    _write(table, plan(old, new, policy.entries), policy)
    for data in foreign:
        table.delete(data)
    added = len(wanted.keys() - present.keys())
    changed = len(new) - added
    return Changes(added, changed, len(present.keys() - wanted.keys()), len(wanted) - added - changed)


def _decoded(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[dict[Key, Entry], list[bytes]]:
    """The entries, and the keys that no policy of ours could have written."""
    entries, foreign = {}, []
    for data, value in pairs:
        key = unpack_key(data)
        if key is None:
            foreign.append(data)
        else:
            entries[key] = unpack_value(value)
    return entries, foreign


def open_up(table: BpfMap, directions: Iterable[Direction]) -> None:
    """Say in the map what programs that do not enforce these directions do anyway: who is not mentioned may pass."""
    for direction in directions:
        key = Key(direction, ANYONE, EVERYTHING)
        if table.lookup(pack_key(key)) is None:
            table.update(pack_key(key), pack_value(key, ALLOW))


def _write(table: BpfMap, steps: Iterator[Step], policy: DesiredPolicy) -> None:
    """Take the steps in order, many of a kind in one call."""
    for deleting, some in groupby(steps, key=lambda step: step.entry is None):
        if deleting:
            table.delete_batch(b"".join(pack_key(step.key) for step in some))
            continue
        keys, values = bytearray(), bytearray()
        for step in some:
            assert step.entry is not None
            keys += pack_key(step.key)
            values += pack_value(step.key, step.entry)
        try:
            table.update_batch(bytes(keys), bytes(values))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.E2BIG):
                raise
            largest = "; ".join(f"{rule} ({entries})" for rule, entries in policy.largest())
            raise PolicyMapFull(f"the policy map is full; most entries are of {largest}") from error
