"""The configuration of an object: its `const volatile` variables, by name, before it is loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping

from cilium_py.bpf.btf import ENUM, ENUM64, INT, Btf, Variable

PREFIX = ".rodata"


class Rodata(MutableMapping[str, int | bytes]):
    """Name to value: an integer for a number, a bool or an enum, bytes for anything else.

    Bytes of the right length are taken for a number too, which is how a value in network byte order is given.
    """

    def __init__(self, btf: Btf, sections: Mapping[str, memoryview]) -> None:
        self._btf = btf
        self._sections = sections
        self._variables: dict[str, tuple[str, Variable]] = {
            variable.name: (section, variable)
            for section, variables in btf.sections.items()
            if section in sections
            for variable in variables
        }
        self._frozen = False

    def freeze(self) -> None:
        """Refuse changes from now on: the kernel has its copy."""
        self._frozen = True
        self._sections = {name: memoryview(bytes(octets)) for name, octets in self._sections.items()}

    def __getitem__(self, name: str) -> int | bytes:
        room, variable = self._room(name)
        kind = self._btf.type(variable.type_id)
        if kind.kind in (INT, ENUM, ENUM64):
            value = int.from_bytes(room, sys.byteorder, signed=kind.signed)
            return bool(value) if kind.boolean else value
        return bytes(room)

    def __setitem__(self, name: str, value: int | bytes) -> None:
        room, variable = self._room(name)
        if self._frozen:
            raise ValueError(f"{name} cannot change: the object is loaded")
        kind = self._btf.type(variable.type_id)
        if isinstance(value, int):
            if kind.kind not in (INT, ENUM, ENUM64):
                raise TypeError(f"{name} is {self._btf.spelling(variable.type_id)}: give {variable.size} bytes")
            value = self._octets(name, value, variable.size, kind.signed, kind.boolean)
        if len(value) != variable.size:
            raise ValueError(f"{name} takes {variable.size} bytes, not {len(value)}")
        room[:] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name} is part of the object")

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def _room(self, name: str) -> tuple[memoryview, Variable]:
        try:
            section, variable = self._variables[name]
        except KeyError:
            from difflib import get_close_matches

            close = get_close_matches(name, self._variables)
            raise KeyError(f"no .rodata variable {name}" + (f", near: {', '.join(close)}" if close else "")) from None
        return self._sections[section][variable.offset : variable.offset + variable.size], variable

    def _octets(self, name: str, value: int, size: int, signed: bool, boolean: bool) -> bytes:
        if boolean and value not in (0, 1):
            raise ValueError(f"{name} is a bool, not {value}")
        try:
            return value.to_bytes(size, sys.byteorder, signed=signed)
        except OverflowError:
            raise ValueError(f"{name} has {'signed ' * signed}{8 * size} bits, too few for {value}") from None
