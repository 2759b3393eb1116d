"""Iterators: a program that the kernel runs for each entry of a map, and what it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cilium_py.bpf.handle import Handle
from cilium_py.bpf.link import Link
from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.program import Program
from cilium_py.libbpf import library

ROOM = 256 * 1024


def iterate(program: Program, map: BpfMap | None = None, room: int = ROOM) -> Iterator[memoryview]:
    """Run an iterator program, over a map if it is one for maps, and yield its output piece by piece.

    A piece is valid until the next one is asked for. Pieces end anywhere, not at line ends.
    """
    with Link.iterator(program, None if map is None else map.fd) as link:
        yield from output(link, room)


def output(link: Link, room: int = ROOM) -> Iterator[memoryview]:
    """Run a prepared iterator once, from the start."""
    buffer = memoryview(bytearray(room))
    with Handle(library().bpf_iter_create(link.fd)) as run:
        while True:
            try:
                count = os.readv(run.fd, [buffer])
            except BlockingIOError:
                # EAGAIN: a million objects went by without output; the kernel wants a rest, not an end.
                continue
            if not count:
                return
            yield buffer[:count]
