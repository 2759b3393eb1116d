"""Where the parts of entries lie that nobody has decoded."""

from __future__ import annotations

from typing import Any

from cilium_py.schema import Struct
from cilium_py.select.octets import sieve_of
from cilium_py.select.tree import EVERYTHING, Node
from cilium_py.table import OpenTable

FLAGS = -1
"""Where in a key of conntrack or NAT the byte of flags lies."""


def places(struct: type[Struct]) -> dict[str, slice]:
    """The bytes of each field."""
    return {member.name: slice(member.offset, member.offset + member.size) for member in struct.members}


def narrow(table: OpenTable[Any], where: Node) -> None:
    """Have a table leave out of its batches what its bytes tell is not selected."""
    sieve = sieve_of(where, table.layout) if where != EVERYTHING else None
    table.narrow = sieve.narrow if sieve is not None else None
