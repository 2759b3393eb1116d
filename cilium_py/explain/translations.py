"""What source NAT makes of the sources of connections."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from cilium_py.bpf.directory import Pins
from cilium_py.errors import MapMissing
from cilium_py.maps import nat
from cilium_py.maps.ct import TUPLE_OUT
from cilium_py.select.tree import EVERYTHING, Node
from cilium_py.table import OpenTable, open_source

from .fingerprints import Fingerprints
from .octets import FLAGS, narrow, places

Translation: TypeAlias = tuple[bytes, int]
"""The address and the port that a connection leaves with."""


class Translations:
    """The outgoing translations of one address family: a fingerprint of each, with what it is translated to."""

    def __init__(self, pins: Path | Pins, family: int, scope: int | None = None, where: Node = EVERYTHING) -> None:
        """Read them; those that `where` does not select may be left out."""
        self.family = family
        self._size = 4 if family == 4 else 16
        self._marks = Fingerprints("Q")
        self._addresses: list[bytes] = [b""]
        sources = nat.MAP.sources if scope is None else nat.CLUSTER
        source = next(source for source in sources if source.family == family)
        with suppress(MapMissing), open_source(source, pins, scope) as table:
            narrow(table, where)
            self._read(table)

    def of(self, key: bytes) -> Translation | None:
        """What the source of an outgoing connection is translated to, by its key in conntrack."""
        if not self._marks:
            return None
        size = self._size
        # Conntrack has a flow turned round, but for the ports.
        number = self._marks.of(key[size : 2 * size] + key[:size] + key[2 * size : FLAGS])
        return (self._addresses[number >> 16], number & 0xFFFF) if number else None

    def _read(self, table: OpenTable[nat.Row]) -> None:
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
                self._marks.mark(key[:FLAGS], number << 16 | int.from_bytes(held[port], "big"))
