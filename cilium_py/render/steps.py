"""What the kernel is told to write for each entry of a batch: steps, each a text and perhaps a field after it.

Pure data, that cilium_py.bpf.formatter hands to the BPF program. `Writing` puts them together; what the program
cannot do raises Unsupported, and Python does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum

from cilium_py.schema.decoder import Decoder
from cilium_py.schema.fields import Int
from cilium_py.schema.form import WIDEST, Field, Name, Names, Prefixed, Seconds, Within

LITERAL_ROOM = 32
MOST_CELLS, CELL_ROOM = 16, 160
MOST_STEPS, MOST_TABLES, MOST_NAMES, NAME_ROOM = 256, 8, 128, 24
BYTE = 256


class Unsupported(Exception):
    """There is no step for this."""


class Kind(IntEnum):
    """enum format_kind."""

    LITERAL = 0
    NUMBER = 1
    HEX = 2
    IP4 = 3
    IP6 = 4
    MAC = 5
    NAME = 6
    SECONDS = 7
    NAMES = 8
    WHEN = 9
    DROP = 10
    CELL = 11


@dataclass(frozen=True, slots=True)
class Step:
    """struct format_step."""

    kind: Kind
    literal: bytes = b""
    side: str = "key"
    offset: int = 0
    mask: int = WIDEST
    shift: int = 0
    big: bool = False
    least: int = 0
    """Taken off a number; the present of SECONDS; the least number with which WHEN holds."""
    most: int = 0
    """The greatest number with which WHEN holds; characters that NAMES takes back."""
    divisor: int = 0
    width: int = 0
    """Digits of HEX, number of the table of NAME and NAMES, of the CELL, steps that WHEN passes over if it fails."""


@dataclass(frozen=True)
class Program:
    """Steps, and the tables of names that they refer to by number."""

    key_size: int
    value_size: int
    steps: tuple[Step, ...]
    tables: tuple[Mapping[int, str], ...]


NEVER = Step(Kind.WHEN, least=1, most=0)


@dataclass
class Writing:
    """The steps for entries of one layout, as far as they are written."""

    decoder: Decoder[tuple[object, ...]]
    steps: list[Step] = field(default_factory=list)
    tables: list[Mapping[int, str]] = field(default_factory=list)
    _pending: bytes = b""
    _last_branch: int = 0

    def program(self) -> Program:
        self._flush()
        if len(self.steps) > MOST_STEPS or sum(map(len, self.tables)) > MOST_NAMES:
            raise Unsupported("too long")
        return Program(self.decoder.key.size, self.decoder.value.size, tuple(self.steps), tuple(self.tables))

    def text(self, text: str) -> None:
        self._pending += text.encode()

    def number(self, source: Field) -> None:
        step = self._reading(Kind.NUMBER, source)
        self._add(replace(step, least=source.less))

    def hexadecimal(self, source: Field, digits: int) -> None:
        """With leading zeros. There is no step for numbers that may have more digits than that."""
        step = self._reading(Kind.HEX, source)
        if source.less or not 0 < digits <= 4 or step.mask >> 4 * digits:
            raise Unsupported("a wide number in hexadecimal digits")
        self._add(replace(step, width=digits))

    def address(self, source: Field, mapped_is_ip4: bool) -> None:
        size = self.size(source)
        kind = {4: Kind.IP4, 16: Kind.IP6}.get(size)
        if kind is None:
            raise Unsupported(f"an address of {size} bytes")
        self._add(self._memory(kind, source, int(mapped_is_ip4)))

    def mac(self, source: Field) -> None:
        self._add(self._memory(Kind.MAC, source))

    def prefix(self, prefix: Prefixed) -> None:
        self.address(prefix.address, mapped_is_ip4=False)
        self.text("/")
        self.number(prefix.length)

    def name(self, name: Name) -> None:
        step = self._reading(Kind.NAME, name.field)
        self._add(replace(step, width=self._table(name.names)))

    def names(self, names: Names, before: str, after: str, taken_back: int = 0) -> None:
        """Each name of a bit that is set, between two texts; of the last, some characters are taken back again."""
        field = names.field & sum(names.names)
        step = self._reading(Kind.NAMES, field)
        table = {bit.bit_length() - 1: before + name + after for bit, name in names.names.items()}
        self._add(replace(step, width=self._table(table), most=taken_back))

    def _table(self, names: Mapping[int, str]) -> int:
        if names not in self.tables:
            fits = all(0 <= number < BYTE and len(text.encode()) <= NAME_ROOM for number, text in names.items())
            if len(self.tables) == MOST_TABLES or not fits:
                raise Unsupported("a table of names that is too large")
            self.tables.append(names)
        return self.tables.index(names)

    def seconds(self, seconds: Seconds) -> None:
        if seconds.hertz >> 32 or not 0 <= seconds.now < 1 << 63 or seconds.field.less:
            raise Unsupported("a clock beyond measure")
        step = self._reading(Kind.SECONDS, seconds.field)
        self._add(replace(step, least=seconds.now, divisor=seconds.hertz, width=int(seconds.left)))

    def end_cell(self, number: int) -> None:
        """What was written since the last end of a cell is a cell of a table."""
        if number >= MOST_CELLS:
            raise Unsupported("a table of many columns")
        self._add(Step(Kind.CELL, width=number))

    def drop(self) -> None:
        """Leave the entry out, whatever was written of it."""
        self._flush()
        self._add(Step(Kind.DROP))

    @contextmanager
    def when(self, test: Within) -> Iterator[None]:
        """What is written within is written where the test holds."""
        less = test.field.less
        step = self._reading(Kind.WHEN, test.field)
        condition = replace(step, least=min(test.least + less, WIDEST), most=min(test.most + less, WIDEST))
        with self._branch(condition):
            yield

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """What is written within is written where the test of the `when` before it fails."""
        self._flush()
        start = self._last_branch
        with self._branch(NEVER):
            yield
        # Where the test fails, the jump over this is passed over too.
        self.steps[start] = replace(self.steps[start], width=self.steps[start].width + 1)

    @contextmanager
    def _branch(self, condition: Step) -> Iterator[None]:
        self._flush()
        start = len(self.steps)
        self.steps.append(condition)
        yield
        self._flush()
        inside = self.steps[start + 1 :]
        if inside and inside[0].kind is Kind.LITERAL and condition is not NEVER:
            # The condition can write it itself.
            condition = replace(condition, literal=inside[0].literal)
            del self.steps[start + 1]
        skipped = len(self.steps) - start - 1
        if skipped > BYTE - 2:
            raise Unsupported("a branch that is too long")
        self.steps[start] = replace(condition, width=skipped)
        self._last_branch = start

    def size(self, source: Field) -> int:
        return source.cut or self.decoder.member(source).size

    def is_bytes(self, source: Field) -> bool:
        return bool(source.cut) or not isinstance(self.decoder.member(source).kind, Int)

    def _memory(self, kind: Kind, source: Field, width: int = 0) -> Step:
        return Step(kind, side=source.side, offset=self.decoder.member(source).offset, width=width)

    def _reading(self, kind: Kind, source: Field) -> Step:
        member = self.decoder.member(source)
        if source.cut or not isinstance(member.kind, Int):
            raise Unsupported(f"{source.name} as a number")
        whole = (1 << 8 * member.size) - 1
        big = member.kind.big
        return Step(
            kind,
            side=source.side,
            offset=member.offset,
            mask=(source.mask & whole) >> source.shift,
            shift=(64 - 8 * member.size if big else 0) + source.shift,
            big=big,
        )

    def _add(self, step: Step) -> None:
        """With what is pending before it."""
        room = 0 if step.kind is Kind.DROP else LITERAL_ROOM
        self._flush(leave=room)
        self.steps.append(replace(step, literal=self._pending))
        self._pending = b""

    def _flush(self, leave: int = 0) -> None:
        while len(self._pending) > leave:
            self.steps.append(Step(Kind.LITERAL, self._pending[:LITERAL_ROOM]))
            self._pending = self._pending[LITERAL_ROOM:]
