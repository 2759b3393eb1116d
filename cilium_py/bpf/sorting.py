"""Entries in an order of their keys' bytes: sorted as they are in the map, before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from cilium_py.bpf.batch import ROOM, Batch
from cilium_py.render.spool import arranged
from cilium_py.render.stream import chunks

IN_MEMORY = 8 << 20
"""Bytes of entries that are sorted at a time; the others wait in a file."""
OBJECT = 33
"""Bytes that Python has for each string of bytes beside them."""


def sorted_batches(batches: Iterable[Batch], by: Sequence[slice]) -> Iterator[Batch]:
    """The entries by parts of their keys, compared byte for byte. What was read before an error comes before it."""
    found = iter(batches)
    first = next(found, None)
    if first is None:
        return
    key_size, value_size = len(first.keys) // first.count, len(first.values) // first.count
    place_size = len(b"".join(bytes(key_size)[part] for part in by))
    key_end, end = place_size + key_size, place_size + key_size + value_size

    def records() -> Iterator[bytes]:
        for batch in chain([first], found):
            for key, value in batch.pairs():
                yield b"".join([*[key[part] for part in by], key, value])

    in_order = arranged(records(), itemgetter(slice(place_size)), run=IN_MEMORY // (end + OBJECT))
    for some in chunks(in_order, ROOM):
        keys, values = [each[place_size:key_end] for each in some], [each[key_end:end] for each in some]
        yield Batch(memoryview(b"".join(keys)), memoryview(b"".join(values)), len(some))
