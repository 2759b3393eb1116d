"""A selection -> a sieve for whole batches of entries that nobody has decoded yet.

Where fields lie is what the layout's columns say (schema.form). What they do not tell is let through here and tried
on the row (rows); then the sieve is not exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, compress
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, NamedTuple

from cilium_py.schema import Int, Layout, Struct, form
from cilium_py.schema.decoder import Decoder, member_of
from cilium_py.schema.text import MAPPED
from cilium_py.select import masks
from cilium_py.select.masks import Columns, Mask, Number
from cilium_py.select.rows import acceptance
from cilium_py.select.tree import And, Compare, CompareFields, Covers, Has, Like, Missing, Node, Not, Or, Within

if TYPE_CHECKING:
    from cilium_py.bpf.batch import Batch

SPARSE = 16
"""With fewer than one entry in so many selected, those are looked up one by one."""
Leaf = Compare | Within | Covers | Has | Like
Structs = Mapping[str, type[Struct]]


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
    columns = layout.decode.every_column() if isinstance(layout.decode, Decoder) else {}
    mask, exact = _compiled(node, columns, {"key": layout.key, "value": layout.value})
    return None if mask is None else Sieve(mask, exact)


def _compiled(node: Node, columns: form.Columns, structs: Structs) -> tuple[Mask | None, bool]:
    """(mask, or None to let everything through; whether it is exact)."""
    match node:
        case And(terms):
            parts = [_compiled(term, columns, structs) for term in terms]
            known = [mask for mask, _ in parts if mask is not None]
            exact = all(exact for _, exact in parts)
            return (masks.all_of(known) if known or exact else None), exact
        case Or(terms):
            parts = [_compiled(term, columns, structs) for term in terms]
            known = [mask for mask, _ in parts if mask is not None]
            if len(known) < len(parts):
                return None, False
            return (masks.any_of(known) if known else masks.nothing), all(exact for _, exact in parts)
        case Not(term):
            refused, exact = _compiled(term, columns, structs)
            return (masks.opposite(refused), True) if refused is not None and exact else (None, False)
        case CompareFields():
            return None, False
    if node.field.derived is not None or node.field.name not in columns:
        return None, False
    found = _leaf(node, columns[node.field.name], structs)
    return found, found is not None


def _leaf(node: Leaf | Missing, column: form.Column, structs: Structs) -> Mask | None:
    """Where a condition on one field is true; None if its column cannot tell."""
    match column:
        case None | str() | int():
            said = column is None if isinstance(node, Missing) else column is not None and acceptance(node)(column)
            return masks.everything if said else masks.nothing
        case form.Either(test, then, otherwise):
            which, one, other = _test(test, structs), _leaf(node, then, structs), _leaf(node, otherwise, structs)
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
            return _test(field.has(bits), structs) if bits else masks.nothing
        case ((Compare() | Like()), form.Name(field, names)):
            return _name(node, field, names, structs)
        case Compare(_, "==", wanted), form.Within():
            found = _test(column, structs)
            return found if wanted or found is None else masks.opposite(found)
        case Compare(_, sign, int(wanted)), form.Field():
            return _number(column, sign, wanted, structs)
        case Within(_, network), form.Field():
            return _network(column, *network, structs)
        case _, form.Prefixed(address, length):
            return _prefix(node, address, length, structs)
    return None


def _number_at(field: form.Field, structs: Structs) -> Number | None:
    member = member_of(structs[field.side], field.name)
    if not isinstance(member.kind, Int) or field.cut:
        return None
    offsets = range(member.offset, member.offset + member.size)
    return Number(field.side, tuple(offsets if member.kind.big else reversed(offsets)), field.mask)


def _number(field: form.Field, sign: str, wanted: int, structs: Structs) -> Mask | None:
    found = _number_at(field, structs)
    if found is None:
        return None
    wanted += field.less

    def below(limit: int) -> Mask:
        return found.below(limit << field.shift) if limit > 0 else masks.nothing

    match sign:
        case "<":
            return below(wanted)
        case "<=":
            return below(wanted + 1)
        case ">":
            return masks.opposite(below(wanted + 1))
        case ">=":
            return masks.opposite(below(wanted))
    if not field.shift:
        return found.equals(wanted)
    return masks.all_of([masks.opposite(below(wanted)), below(wanted + 1)])


def _test(test: form.Within, structs: Structs) -> Mask | None:
    least, most = _number(test.field, ">=", test.least, structs), _number(test.field, "<=", test.most, structs)
    if least is None or most is None:
        return None
    return least if test.most >= form.WIDEST else masks.all_of([least, most])


def _name(node: Compare | Like, field: form.Field, names: Mapping[int, str], structs: Structs) -> Mask | None:
    """A word that stands for a number. Numbers without a name are their own."""
    accept = acceptance(node)
    found = _number_at(field, structs)
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
    each = [_number(field, "==", number, structs) for number in sorted(wanted)]
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
    size = address.cut or member_of(structs[address.side], address.name).size

    def has_length(sign: str, wanted: int) -> Iterator[Mask]:
        mask = _number(length, sign, wanted, structs)
        if mask is not None:
            yield mask

    match node:
        case Compare(_, "==", (bytes(base), int(wanted))) if len(base) == size:
            same: Sequence[Mask] = [
                *has_length("==", wanted),
                masks.starts_with(address.side, _at(address, structs), base, wanted),
            ]
        case Within(_, (base, wanted)) if len(base) == size:
            same = [*has_length(">=", wanted), masks.starts_with(address.side, _at(address, structs), base, wanted)]
        case _:
            return None
    return masks.all_of(same) if len(same) == 2 else None


def _at(field: form.Field, structs: Structs) -> int:
    return member_of(structs[field.side], field.name).offset
