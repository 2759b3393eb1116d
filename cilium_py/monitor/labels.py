"""Names beside numbers: the labels of identities and the names of interfaces, read when a new number turns up."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field

from cilium_py.errors import CiliumPyError
from cilium_py.net.namespace import NetNamespace, inside
from cilium_py.node.config import NodeConfig, NodeMissing
from cilium_py.node.identity import RESERVED, IdentityStore
from cilium_py.paths import NodePaths

PATIENCE = 1.0
"""Seconds before an unknown number is looked for again."""

RESERVED_NAMES = {number: name for name, number in RESERVED.items()}


@dataclass
class Names:
    """What a node calls its numbers. Names once seen are kept, so that of what has gone the last ones still show."""

    store: IdentityStore | None = None
    namespace: NetNamespace | None = None
    _labels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _interfaces: dict[int, str] = field(default_factory=dict)
    _missing: bool = True
    _read: float = 0.0

    @classmethod
    def of_node(cls, paths: NodePaths) -> Names:
        """The names of the node with that state; without any state, of the namespace we are in."""
        try:
            node = NodeConfig.load(paths)
        except NodeMissing:
            return cls()
        return cls(node.identity_store(paths), node.namespace)

    def labels(self, identity: int) -> tuple[str, ...]:
        """The labels of an identity, none if they are not known here."""
        if identity in RESERVED_NAMES:
            return (f"reserved:{RESERVED_NAMES[identity]}",)
        found = self._labels.get(identity, ())
        self._missing |= not found
        return found

    def interface(self, index: int) -> str:
        """The name of an interface; "" if it is not known here."""
        found = self._interfaces.get(index, "")
        self._missing |= not found and index != 0
        return found

    def look_again(self) -> bool:
        """Read the names again if one was asked for in vain, not more than once a second; True if some are new."""
        now = time.monotonic()
        if not self._missing or now - self._read < PATIENCE:
            return False
        self._missing, self._read = False, now
        before = len(self._labels), dict(self._interfaces)
        # What cannot be read costs the names, not the events.
        with contextlib.suppress(CiliumPyError, OSError):
            if self.store is not None:
                self._labels.update((each.number, each.labels) for each in self.store.all())
        with contextlib.suppress(CiliumPyError, OSError), inside(self.namespace):
            self._interfaces.update(socket.if_nameindex())
        return before != (len(self._labels), self._interfaces)


def identity_name(identity: int) -> str:
    """The name of a reserved identity, else its number."""
    return RESERVED_NAMES.get(identity) or str(identity)
