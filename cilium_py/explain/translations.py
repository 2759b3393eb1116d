"""What source NAT makes of the sources of connections."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias

from cilium_py.maps import nat
from cilium_py.maps.ct import TUPLE_OUT, TUPLE_RELATED
from cilium_py.select.tree import EVERYTHING, Node
from cilium_py.table import OpenTable

from .fingerprints import Fingerprints
from .known import Known
from .octets import FLAGS, narrow, places

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

Translation: TypeAlias = tuple[bytes, int]
"""The address and the port that a connection leaves with."""


class Translations:
    """The outgoing translations of one address family: a fingerprint of each, with what it is translated to."""

    def __init__(self, known: Known, family: int, scope: int | None = None, where: Node = EVERYTHING) -> None:
        """Read them; those that `where` does not select may be left out."""
        self.family = family
        self._size = 4 if family == 4 else 16
        self._addresses: list[bytes] = [b""]
        self._marks = Fingerprints(0, "Q")
        sources = nat.MAP.sources if scope is None else nat.CLUSTER
        source = next(source for source in sources if source.family == family)
        opened = known.open(source, scope)
        if opened is not None:
            with opened as table:
                narrow(table, where)
                count = sum(batch.count for batch in table.batches())
                self._marks = Fingerprints(count // 2, "Q")
                self._marks.mark(self._found(table))

    def of(self, batch: Batch) -> Iterator[Translation | None]:
        """Of each entry of conntrack, what its source is translated to; None if it does not go out."""
        if not self._marks:
            return repeat(None, batch.count)
        return self._looked_up(batch)

    def _looked_up(self, batch: Batch) -> Iterator[Translation | None]:
        one, addresses = self._size, self._addresses
        both = 2 * one
        # Conntrack has a flow turned round, but for the ports.
        numbers = self._marks.of(key[one:both] + key[:one] + key[both:FLAGS] for key, _ in batch.pairs())
        for (key, _), number in zip(batch.pairs(), numbers, strict=True):
            is_outgoing = number and key[FLAGS] & ~TUPLE_RELATED == TUPLE_OUT
            yield (addresses[number >> 16], number & 0xFFFF) if is_outgoing else None

    def _found(self, table: OpenTable[nat.Row]) -> Iterator[tuple[bytes, int]]:
        value = places(table.layout.value)
        address, port = value["to_saddr"], value["to_sport"]
        numbers: dict[bytes, int] = {}
        for batch in table.batches():
            for key, held in batch.pairs():
                if key[FLAGS] != TUPLE_OUT:
                    continue
                into = held[address]
                number = numbers.get(into)
                if number is None:
                    number = numbers[into] = len(self._addresses)
                    self._addresses.append(into)
                yield key[:FLAGS], number << 16 | int.from_bytes(held[port], "big")
