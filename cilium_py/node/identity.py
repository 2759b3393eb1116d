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
        """The number of a label set, a new one if it is not in use; `user` holds it until `release`."""
        wanted = label_words.canonical(labels) or ("reserved:init",)
        if len(wanted) == 1 and (reserved := reserved_number(wanted[0])) is not None:
            return reserved
        with state.locked(self._lock):
            known = self._read()
            identity = next((i for i in known.values() if i.labels == wanted), None)
            if identity is None:
                identity = Identity(_first_free(known), wanted)
                known[identity.number] = identity
            identity.users.add(user)
            self._write(known)
        return identity.number

    def release(self, number: int, user: str) -> bool:
        """Give the number back; True if nobody uses it any more and it is free."""
        with state.locked(self._lock):
            known = self._read()
            identity = known.get(number)
            if identity is None:
                return False
            identity.users.discard(user)
            if not identity.users:
                del known[number]
            self._write(known)
        return number not in known

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
                int(number): Identity(int(number), tuple(entry["labels"]), set(entry["users"]))
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
