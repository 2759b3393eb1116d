"""Security identities: the number that stands for a set of labels, wherever it is found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.loader import state

from . import labels as label_words

RESERVED = {
    "unknown": 0,
    "host": 1,
    "world": 2,
    "unmanaged": 3,
    "health": 4,
    "init": 5,
    "remote-node": 6,
    "kube-apiserver": 7,
    "ingress": 8,
    "world-ipv4": 9,
    "world-ipv6": 10,
    "encrypted-overlay": 11,
}
FIRST, LAST = 256, 65535


@dataclass
class Identity:
    """A number, its labels, and who uses it (`node/endpoint`)."""

    number: int
    labels: tuple[str, ...]
    users: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class IdentityStore:
    """The identities that nodes with this directory share. Safe between processes."""

    directory: Path

    def allocate(self, labels: Iterable[str], user: str) -> int:
        """The number of a label set, a new one if it is not in use; `user` holds it, and no other, until `release`."""
        wanted = label_words.canonical(labels) or ("reserved:init",)
        reserved = reserved_number(wanted[0]) if len(wanted) == 1 else None
        with state.locked(self._lock):
            known = self._read()
            identity = None
            if reserved is None:
                identity = next((i for i in known.values() if i.labels == wanted), None)
                if identity is None:
                    identity = Identity(_first_free(known), wanted)
                    known[identity.number] = identity
                identity.users.add(user)
            _leave(known, user, staying_at=identity)
            self._write(known)
        return identity.number if identity is not None else reserved or 0

    def release(self, user: str) -> bool:
        """Give back what the user holds, if anything; True if nobody else held it and the number is free."""
        with state.locked(self._lock):
            known = self._read()
            freed = _leave(known, user)
            self._write(known)
        return freed

    def labels(self, number: int) -> tuple[str, ...] | None:
        """The labels that a number stands for, or None."""
        for name, reserved in RESERVED.items():
            if reserved == number:
                return (f"reserved:{name}",)
        identity = self._read().get(number)
        return identity.labels if identity else None

    def all(self) -> list[Identity]:
        """Every allocated identity, by number."""
        return [identity for _, identity in sorted(self._read().items())]

    @property
    def _file(self) -> Path:
        return self.directory / "identities.json"

    @property
    def _lock(self) -> Path:
        return self.directory / "identities.lock"

    def _read(self) -> dict[int, Identity]:
        try:
            document = json.loads(self._file.read_text())
            return {
                int(number): state.checked(Identity(int(number), tuple(entry["labels"]), set(entry["users"])))
                for number, entry in document.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CiliumPyError(f"{self._file}: not a list of identities: {error}") from error

    def _write(self, known: dict[int, Identity]) -> None:
        document = {
            str(number): {"labels": list(identity.labels), "users": sorted(identity.users)}
            for number, identity in sorted(known.items())
        }
        state.write_json(self._file, document)


def _leave(known: dict[int, Identity], user: str, staying_at: Identity | None = None) -> bool:
    """Take the user from every identity but one, and drop those that nobody holds; True if there were such."""
    for identity in known.values():
        if identity is not staying_at:
            identity.users.discard(user)
    unused = [number for number, identity in known.items() if not identity.users]
    for number in unused:
        del known[number]
    return bool(unused)


def reserved_number(label: str) -> int | None:
    """The fixed number of a label such as `reserved:health`; None for a label of another source."""
    source, _, name = label.partition(":")
    if source != "reserved":
        return None
    if name not in RESERVED:
        raise WrongUsage(f"{label}: no such reserved identity", hint=f"there are {', '.join(RESERVED)}")
    return RESERVED[name]


def _first_free(known: dict[int, Identity]) -> int:
    number = next((n for n in range(FIRST, LAST + 1) if n not in known), None)
    if number is None:
        raise CiliumPyError(f"all {LAST - FIRST + 1} identities are in use")
    return number
