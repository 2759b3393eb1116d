"""Identities of addresses outside the cluster: one for each CIDR that a rule names, known on this node only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import chain
from pathlib import Path

from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.paths import NodePaths

from .rule import Network

FIRST, LAST = (1 << 24) + 1, (1 << 24) + (1 << 16) - 1


@dataclass(frozen=True)
class CidrIdentity:
    """A number, its CIDR, and the rules that name it."""

    number: int
    network: Network
    users: frozenset[int]

    def labels(self, dual_stack: bool) -> tuple[str, ...]:
        world = f"reserved:world-ipv{self.network.version}" if dual_stack else "reserved:world"
        return cidr_label(self.network), world


def cidr_label(network: Network) -> str:
    """`cidr:10.0.0.0/8`; in IPv6 dashes stand for colons, and a zero for nothing at either end."""
    address = str(network.network_address).replace(":", "-")
    address = f"{'0' * address.startswith('-')}{address}{'0' * address.endswith('-')}"
    return f"cidr:{address}/{network.prefixlen}"


@dataclass(frozen=True)
class CidrIdentities:
    """The CIDR identities of a node, in its state directory. The caller holds the policy lock to change them."""

    path: Path

    @classmethod
    def of(cls, paths: NodePaths) -> CidrIdentities:
        return cls(paths.state_dir / "policy" / "cidr-identities.json")

    def all(self) -> list[CidrIdentity]:
        """Every identity, by number."""
        return sorted(self._read()[1].values(), key=lambda identity: identity.number)

    def hold(self, wanted: Mapping[Network, Iterable[int]]) -> list[CidrIdentity]:
        """Give each CIDR a number if it has none, and note who uses it; return those that are new."""
        following, known = self._read()
        new = []
        for network in sorted(wanted, key=_order):
            found = known.get(network)
            if found is None:
                following = _free(following, {identity.number for identity in known.values()})
            number = found.number if found is not None else following
            known[network] = CidrIdentity(number, network, frozenset(wanted[network]))
            if found is None:
                new.append(known[network])
                following += 1
        for network in known.keys() - wanted.keys():
            known[network] = CidrIdentity(known[network].number, network, frozenset())
        self._write(following, known)
        return new

    def unused(self) -> list[CidrIdentity]:
        return [identity for identity in self.all() if not identity.users]

    def release(self) -> None:
        """Free the numbers that no rule uses."""
        following, known = self._read()
        self._write(following, {network: identity for network, identity in known.items() if identity.users})

    def _read(self) -> tuple[int, dict[Network, CidrIdentity]]:
        try:
            document = json.loads(self.path.read_text())
            identities = (
                CidrIdentity(int(entry["id"]), ip_network(text), frozenset(map(int, entry["rules"])))
                for text, entry in document["identities"].items()
            )
            return int(document["next"]), {identity.network: identity for identity in identities}
        except FileNotFoundError:
            return FIRST, {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CiliumPyError(f"{self.path}: not a list of CIDR identities: {error}") from error

    def _write(self, following: int, known: Mapping[Network, CidrIdentity]) -> None:
        document = {
            "next": following,
            "identities": {
                str(network): {"id": identity.number, "rules": sorted(identity.users)}
                for network, identity in sorted(known.items(), key=lambda item: item[1].number)
            },
        }
        state.make_directory(self.path.parent)
        state.write_json(self.path, document)


def _order(network: Network) -> tuple[int, int, int]:
    version: int = network.version
    return version, int(network.network_address), network.prefixlen


def _free(following: int, taken: set[int]) -> int:
    """The next number, not one just freed: entries that still have it must not take effect for another CIDR."""
    for number in chain(range(following, LAST + 1), range(FIRST, min(following, LAST + 1))):
        if number not in taken:
            return number
    raise CiliumPyError(f"all {LAST - FIRST + 1} identities of CIDRs are in use")
