"""The contents of a policy map: entries merged and put in an order of precedence that two lookups can find.

The datapath looks up the longest prefix of protocol and port twice, for the peer's identity and for identity 0,
which is anyone. A deny wins; then the higher proxy priority; then the longer prefix; then the peer's own entry. For
that to give what the rules say, an entry must not hide a stronger one of the same row behind its longer prefix: such
entries are left out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from .ports import L4
from .rule import Direction

ANYONE = 0
DENY_RANK = 256
"""Above every proxy priority."""


class Key(NamedTuple):
    """Whose traffic, in which direction, on which ports."""

    direction: Direction
    identity: int
    l4: L4


class Entry(NamedTuple):
    """What becomes of it. A proxy port of 0 is none; priority 0 is that of an entry without a proxy."""

    deny: bool = False
    proxy_port: int = 0
    priority: int = 0
    auth: int = 0
    explicit_auth: bool = False

    @property
    def rank(self) -> int:
        """Which of two entries for the same packet is stronger."""
        return DENY_RANK if self.deny else self.priority


ALLOW, DENY = Entry(), Entry(deny=True)
MapState: TypeAlias = Mapping[Key, Entry]
Row: TypeAlias = dict[L4, Entry]
"""The entries of one identity in one direction."""


def datapath_priority(listener_priority: int) -> int:
    """1, the strongest that a policy can give, is 127; 126 is 2; none given is 1."""
    return 128 - min(listener_priority, 126) if listener_priority else 1


def merge(one: Entry, other: Entry) -> Entry:
    """The entry that stands for both of two with the same key."""
    if one.deny or other.deny:
        return DENY
    proxied = one if (one.priority, -one.proxy_port) >= (other.priority, -other.proxy_port) else other
    demanding = max(one, other, key=lambda entry: (entry.explicit_auth, entry.auth))
    return Entry(False, proxied.proxy_port, proxied.priority, demanding.auth, demanding.explicit_auth)


def gather(entries: Iterable[tuple[L4, Entry]]) -> Row:
    """Entries as rules give them, those of the same key merged."""
    row: Row = {}
    for l4, entry in entries:
        row[l4] = merge(row[l4], entry) if l4 in row else entry
    return row


def settle(row: Row, anyone: Row, with_auth: bool) -> Row:
    """The entries of a row that are to be in the map, beside those of `anyone`, which is settled already.

    `with_auth`: some rule of the policy speaks of authentication, so that entries may differ in nothing else.
    """
    settled: Row = {}
    for l4 in sorted(row, key=_breadth):
        entry = row[l4]
        covering = [settled[broader] for broader in l4.broader() if broader in settled]
        wild = [anyone[broader] for broader in l4.broader() if broader in anyone] if anyone is not row else []
        if any(cover.deny for cover in (*covering, *wild)):
            continue
        if not entry.deny:
            if with_auth:
                kept = _with_auth(entry, covering)
                if kept is None:
                    continue
                entry = kept
            elif any(cover.priority > entry.priority for cover in (*covering, *wild)):
                continue
        if anyone.get(l4) == entry and anyone is not row:
            continue
        settled[l4] = entry
    return settled


def _breadth(l4: L4) -> tuple[int, int, int]:
    return l4.bits, l4.protocol, l4.port


def _with_auth(entry: Entry, covering: list[Entry]) -> Entry | None:
    """An allow entry below the broader ones of its row, narrowest first; None if it says nothing of its own."""
    stronger = next((cover for cover in covering if cover.priority > entry.priority), None)
    if stronger is not None:
        if not entry.explicit_auth:
            return None
        return entry._replace(proxy_port=stronger.proxy_port, priority=stronger.priority)
    if not entry.explicit_auth:
        demanding = next((cover for cover in covering if cover.explicit_auth), None)
        if demanding is not None:
            return entry._replace(auth=demanding.auth)
    return entry


class Decision(NamedTuple):
    """The entry that decides over a packet."""

    key: Key
    entry: Entry

    @property
    def strength(self) -> tuple[int, int]:
        return self.entry.rank, self.key.l4.bits


def decide(state: MapState, direction: Direction, identity: int, l4: L4) -> Decision | None:
    """Look a packet up as the datapath does; None if no entry is for it."""
    peer, anyone = _longest(state, direction, identity, l4), _longest(state, direction, ANYONE, l4)
    if peer is None or anyone is None:
        return peer or anyone
    return anyone if not peer.entry.deny and anyone.strength > peer.strength else peer


def _longest(state: MapState, direction: Direction, identity: int, l4: L4) -> Decision | None:
    for broader in l4.broader():
        key = Key(direction, identity, broader)
        if key in state:
            return Decision(key, state[key])
    return None
