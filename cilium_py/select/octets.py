"""A selection -> a sieve for whole batches of entries that nobody has decoded yet.

Where fields lie is what the layout's columns say (schema.form). Most conditions are told by bytes (masks), the others
by the values of a column (vectors). What neither tells is let through and tried on the row (rows); then the sieve is
not exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, compress
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, NamedTuple

from cilium_py.schema import Layout, form
from cilium_py.schema.decoder import Decoder, member_of
from cilium_py.schema.text import MAPPED
from cilium_py.select import masks
from cilium_py.select.fields import Field, Kind
from cilium_py.select.masks import Columns, Mask
from cilium_py.select.numbers import Structs, compared, number_at, tested
from cilium_py.select.rows import OPERATORS, acceptance
from cilium_py.select.tree import And, Compare, CompareFields, Covers, Has, Like, Missing, Node, Not, Or, Within
from cilium_py.select.vectors import vector_of

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

SPARSE = 16
"""With fewer than one entry in so many selected, those are looked up one by one."""
MOST_WORDS = 4096
Leaf = Compare | Within | Covers | Has | Like


class Sieve(NamedTuple):
    """Which entries of a batch may be selected; where it is exact, they are."""

    mask: Mask
    exact: bool

    def narrow(self, batch: Batch) -> Batch | None:
        """The entries that pass, in their order; None if none does."""
        from cilium_py.bpf.batch import Batch

        columns = Columns(batch)
        mask = self.mask(columns) if batch.count else 0
        if not mask:
            return None
        if mask == columns.all:
            return batch
        count = mask.bit_count()
        marks = mask.to_bytes(batch.count, "little")
        chosen = _few if count * SPARSE < batch.count else _many
        keys, values = (memoryview(chosen(b, len(b) // batch.count, marks)) for b in (columns.key, columns.value))
        return Batch(keys, values, count)


def _few(buffer: bytes, size: int, marks: bytes) -> bytes:
    found, at = [], marks.find(1)
    while at >= 0:
        found.append(buffer[at * size : (at + 1) * size])
        at = marks.find(1, at + 1)
    return b"".join(found)


def _many(buffer: bytes, size: int, marks: bytes) -> bytes:
    return b"".join(chain.from_iterable(compress(iter_unpack(f"{size}s", buffer), marks))) if size else b""


def sieve_of(node: Node, layout: Layout[Any]) -> Sieve | None:
    """The sieve of a selection without durations; None if nothing can be told before an entry is decoded."""
    if not isinstance(layout.decode, Decoder):
        return None
    told = _told(node, layout.decode)
    return None if told.mask is None else Sieve(told.mask, told.exact)


class _Told(NamedTuple):
    """What bytes tell of a condition."""

    mask: Mask | None
    """None to let everything through."""
    exact: bool
    slow: bool = False
    """Whether it looks at values instead of bytes."""


UNTOLD = _Told(None, exact=False)


def _told(node: Node, decoder: Decoder[Any]) -> _Told:
    match node:
        case And(terms):
            parts = [_told(term, decoder) for term in terms]
            # What is quickly told first: where it leaves nothing, the others need not look.
            known = [mask for mask, _, _ in sorted(parts, key=lambda part: part.slow) if mask is not None]
            exact = all(part.exact for part in parts)
            return _Told(masks.all_of(known) if known or exact else None, exact, any(part.slow for part in parts))
        case Or(terms):
            parts = [_told(term, decoder) for term in terms]
            known = [part.mask for part in parts if part.mask is not None]
            if len(known) < len(parts):
                return UNTOLD
            mask = masks.any_of(known) if known else masks.nothing
            return _Told(mask, all(part.exact for part in parts), any(part.slow for part in parts))
        case Not(term):
            refused = _told(term, decoder)
            return refused._replace(mask=masks.opposite(refused.mask)) if refused.mask and refused.exact else UNTOLD
        case CompareFields(left, sign, right):
            compare = OPERATORS[sign]
            return _by_values(lambda a, b: a is not None and b is not None and compare(a, b), (left, right), decoder)
    if node.field.derived is None:
        structs = {"key": decoder.key, "value": decoder.value}
        found = _leaf(node, decoder.every_column()[node.field.name], structs)
        if found is not None:
            return _Told(found, exact=True)
    if isinstance(node, Missing):
        return _by_values(lambda value: value is None, (node.field,), decoder)
    accept = acceptance(node)

    def accepted(value: Any) -> bool:
        return value is not None and accept(value)

    # Words are few, and often the same.
    is_word = node.field.kind is Kind.TEXT
    return _by_values(lru_cache(MOST_WORDS)(accepted) if is_word else accepted, (node.field,), decoder)


def _by_values(accept: Callable[..., bool], fields: Sequence[Field], decoder: Decoder[Any]) -> _Told:
    """Where the values of fields are accepted."""
    vectors = [vector for field in fields if (vector := vector_of(field, decoder)) is not None]
    if len(vectors) < len(fields):
        return UNTOLD

    def mask(columns: Columns) -> int:
        return int.from_bytes(bytes(map(accept, *(vector(columns) for vector in vectors))), "little")

    return _Told(mask, exact=True, slow=True)


def _leaf(node: Leaf | Missing, column: form.Column, structs: Structs) -> Mask | None:
    """Where a condition on one field is true; None if its column cannot tell."""
    match column:
        case None | str() | int():
            said = column is None if isinstance(node, Missing) else column is not None and acceptance(node)(column)
            return masks.everything if said else masks.nothing
        case form.Either(test, then, otherwise):
            which, one, other = tested(test, structs), _leaf(node, then, structs), _leaf(node, otherwise, structs)
            if which is None or one is None or other is None:
                return None
            return masks.one_or_other(which, one, other)
        case form.Sum() | form.Seconds():
            return None
    if isinstance(node, Missing):
        return masks.nothing
    match node, column:
        case ((Has() | Like()), form.Names(field, names)):
            accept = acceptance(node)
            bits = sum(bit for bit, name in names.items() if accept([name]))
            return tested(field.has(bits), structs) if bits else masks.nothing
        case ((Compare() | Like()), form.Name(field, names)):
            return _name(node, field, names, structs)
        case Compare(_, "==", wanted), form.Within():
            found = tested(column, structs)
            return found if wanted or found is None else masks.opposite(found)
        case Compare(_, sign, int(wanted)), form.Field():
            return compared(column, sign, wanted, structs)
        case Within(_, network), form.Field():
            return _network(column, *network, structs)
        case _, form.Prefixed(address, length):
            return _prefix(node, address, length, structs)
    return None


def _name(node: Compare | Like, field: form.Field, names: Mapping[int, str], structs: Structs) -> Mask | None:
    """A word that stands for a number. Numbers without a name are their own."""
    accept = acceptance(node)
    found = number_at(field, structs)
    if found is None:
        return None
    if len(found.octets) == 1:
        said = (((value & field.mask) >> field.shift) - field.less for value in range(256))
        return masks.table(found.side, found.octets[0], bytes(accept(names.get(n, str(n))) for n in said))
    if isinstance(node, Like):
        return None
    wanted = {number for number, name in names.items() if accept(name)}
    if isinstance(node.value, str) and node.value.removeprefix("-").isdecimal():
        wanted |= {n for n in (int(node.value),) if n not in names and accept(str(n))}
    each = [compared(field, "==", number, structs) for number in sorted(wanted)]
    return masks.any_of([mask for mask in each if mask is not None]) if each else masks.nothing


def _network(field: form.Field, base: bytes, length: int, structs: Structs) -> Mask | None:
    member = member_of(structs[field.side], field.name)
    size = field.cut or member.size
    if len(base) == 4 and size == 16:
        base, length = MAPPED + base, 96 + length
    if len(base) != size:
        return masks.nothing
    return masks.starts_with(field.side, member.offset, base, length)


def _prefix(node: Leaf, address: form.Field, length: form.Field, structs: Structs) -> Mask | None:
    member = member_of(structs[address.side], address.name)
    size = address.cut or member.size

    def beginning(sign: str, wanted: int, base: bytes) -> Mask | None:
        """Where the length compares so with this one, and as many bits are those of a base."""
        long_enough = compared(length, sign, wanted, structs)
        alike = masks.starts_with(address.side, member.offset, base, wanted)
        return None if long_enough is None else masks.all_of([long_enough, alike])

    match node:
        case Compare(_, "==", (bytes(base), int(wanted))):
            return beginning("==", wanted, base) if len(base) == size else masks.nothing
        case Within(_, (base, wanted)):
            return beginning(">=", wanted, base) if len(base) == size else masks.nothing
        case Covers(_, base) if len(base) == size:
            found = [beginning("==", bits, base) for bits in range(8 * size + 1)]
            return None if None in found else masks.any_of([mask for mask in found if mask is not None])
        case Covers():
            return masks.nothing
    return None
