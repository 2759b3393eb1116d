"""The rules of a node, kept in its state directory, with a revision that grows with every change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.paths import NodePaths

from . import proxy
from .document import WrongRule, of_plain
from .identities import EVERY_ADDRESS
from .parse import Written, parse_stored
from .place import file_of
from .rule import Cidr, Network, Rule

FIRST_REVISION = 1
"""That of a node which never had a rule."""


@dataclass(frozen=True)
class Repository:
    """The rules at one revision, by their number; numbers are never used twice."""

    revision: int = FIRST_REVISION
    following: int = 1
    written: Mapping[int, Written] = field(default_factory=dict)
    proxy_ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def rules(self) -> list[Rule]:
        return [written.rule for written in self.written.values()]

    @property
    def is_new(self) -> bool:
        """Whether there never was a rule: the policy maps are then not ours to write."""
        return self.revision == FIRST_REVISION

    def having(self, labels: Iterable[str]) -> dict[int, Written]:
        """The rules that have all of these labels, which are in full form."""
        wanted = set(labels)
        return {n: written for n, written in self.written.items() if wanted <= set(written.rule.labels)}

    def replace(self, removed: Iterable[int], added: Iterable[Written]) -> Repository:
        """The repository after a change, at the next revision."""
        gone = set(removed)
        rules = {number: written for number, written in self.written.items() if number not in gone}
        new = dict(enumerate(added, self.following))
        rules |= new
        ports = proxy.assign((written.rule for written in rules.values()), self.proxy_ports)
        return Repository(self.revision + 1, self.following + len(new), rules, ports)

    def networks(self) -> dict[Network, set[int]]:
        """Every CIDR that rules name -> the numbers of those rules."""
        found: dict[Network, set[int]] = {}
        for number, written in self.written.items():
            for passage in written.rule.passages:
                for peer in passage.peers or ():
                    if isinstance(peer, Cidr):
                        for network in (peer.network, *peer.excepted):
                            found.setdefault(network, set()).add(number)
        return {network: users for network, users in found.items() if network not in EVERY_ADDRESS}

    def document(self) -> dict[str, Any]:  # what json writes
        return {
            "revision": self.revision,
            "next": self.following,
            "proxy-ports": dict(self.proxy_ports),
            "rules": {str(number): written.document() for number, written in self.written.items()},
        }


def merge(repository: Repository, added: Iterable[Written], matching: Callable[[Rule], bool]) -> Repository:
    """Import: new rules beside the old, less those that `matching` says and older versions of the same documents."""
    new = list(added)
    origins = {written.rule.origin for written in new} - {""}
    gone = [
        number
        for number, written in repository.written.items()
        if written.rule.origin in origins or matching(written.rule)
    ]
    return repository.replace(gone, new)


def load(paths: NodePaths) -> Repository:
    """The rules as they are now; an empty repository if there never were any."""
    path = file_of(paths)
    try:
        document = json.loads(path.read_text())
        rules = {
            int(number): parse_stored(of_plain(rule, str(path), f"rules.{number}"))
            for number, rule in document["rules"].items()
        }
        ports = {str(name): int(port) for name, port in document["proxy-ports"].items()}
        return Repository(int(document["revision"]), int(document["next"]), rules, ports)
    except FileNotFoundError:
        return Repository()
    except WrongRule:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CiliumPyError(f"{path}: not a set of rules: {error!r}") from error


def save(paths: NodePaths, repository: Repository) -> None:
    path = file_of(paths)
    state.make_directory(path.parent)
    state.write_json(path, repository.document())


@contextmanager
def locked(paths: NodePaths) -> Iterator[None]:
    """Hold the lock of whoever changes rules, or brings the node to a new revision."""
    with state.locked(paths.state_dir / "locks" / "policy"):
        yield
