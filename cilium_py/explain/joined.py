"""Which entries of conntrack belong to one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cilium_py.maps import ct
from cilium_py.maps.ct import TUPLE_IN, TUPLE_OUT, TUPLE_RELATED, TUPLE_SERVICE
from cilium_py.table import OpenTable

from .fingerprints import Fingerprints
from .octets import FLAGS, places

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

SERVED, CHOSEN = 4, 8
"""Marks of a client: that a flow of it goes through a service, that a backend was chosen for it."""
NO_SERVICE = bytes(2)
RELATED = [bytes([flags & TUPLE_RELATED]) for flags in range(256)]
OUT, IN, BOTH = ["OUT"], ["IN"], ["OUT", "IN"]
KINDS = {TUPLE_OUT: (OUT, OUT, BOTH, BOTH), TUPLE_IN: (IN, None, IN, None)}
"""Direction of an entry -> the entries of the flow that it speaks for, by their marks; None where another one does."""


class Joined:
    """The entries of a table by what they have in common, of which fingerprints are held."""

    def __init__(self, table: OpenTable[ct.Row]) -> None:
        key, value = places(table.layout.key), places(table.layout.value)
        self._protocol, self._rev_nat = key["nexthdr"], value["rev_nat_index"]
        self._service = key["saddr"], key["dport"]
        """Where a service entry has the client; any other is turned round."""
        self._client = key["daddr"], key["sport"]
        self._marks = Fingerprints(sum(batch.count for batch in table.batches()))
        self._marks.mark(self._found(table))

    def kinds(self, batch: Batch) -> Iterator[list[str] | None]:
        """Of each entry, the kinds of entries of the connection that it speaks for; None if another one does."""
        rev_nat = self._rev_nat
        marks = self._marks.of(key[:FLAGS] + RELATED[key[FLAGS]] for key, _ in batch.pairs())
        for (key, value), mark in zip(batch.pairs(), marks, strict=True):
            flags = key[FLAGS]
            if flags & TUPLE_SERVICE:
                yield None if self._client_marks(key, value) & SERVED else ["SVC"]
                continue
            kinds = KINDS[flags & TUPLE_IN][mark & 3]
            if value[rev_nat] != NO_SERVICE and kinds is not None and self._client_marks(key, value) & CHOSEN:
                kinds = [*kinds, "SVC"]
            yield kinds

    def _found(self, table: OpenTable[ct.Row]) -> Iterator[tuple[bytes, int]]:
        rev_nat = self._rev_nat
        for batch in table.batches():
            for key, value in batch.pairs():
                flags = key[FLAGS]
                if flags & TUPLE_SERVICE:
                    yield self._client_of(key, value), CHOSEN
                    continue
                yield key[:FLAGS] + RELATED[flags], 1 << (flags & TUPLE_IN)
                if value[rev_nat] != NO_SERVICE:
                    yield self._client_of(key, value), SERVED

    def _client_marks(self, key: bytes, value: bytes) -> int:
        return next(self._marks.of((self._client_of(key, value),)))

    def _client_of(self, key: bytes, value: bytes) -> bytes:
        """What a flow through a service has in common with the choice of its backend."""
        flags = key[FLAGS]
        address, port = self._service if flags & TUPLE_SERVICE else self._client
        return key[self._protocol] + key[address] + key[port] + value[self._rev_nat] + RELATED[flags]
