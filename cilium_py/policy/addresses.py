"""The identities of CIDRs in the ipcache, below whatever else is known of the same addresses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from cilium_py.maps import ipcache
from cilium_py.node import entries
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from .cidr import FIRST, LAST, CidrIdentity
from .rule import Network


def publish(paths: NodePaths, node: NodeConfig, identities: Iterable[CidrIdentity]) -> None:
    """Let the addresses of each CIDR have its identity, unless an endpoint or a node has that very prefix."""
    families = {family.router.version for family in node.families}
    wanted = [identity for identity in identities if identity.users and identity.network.version in families]
    missing = list(_missing(paths, wanted))
    known = _known(paths, (identity.network for identity in missing))
    for identity in missing:
        number = known.get(identity.network)
        if number is None or (number != identity.number and FIRST <= number <= LAST):
            entries.put_identity(paths, identity.network, identity.number)


def withdraw(paths: NodePaths, identities: Iterable[CidrIdentity]) -> None:
    """Forget the CIDRs, where they still have these identities."""
    unwanted = list(identities)
    known = _known(paths, (identity.network for identity in unwanted))
    for identity in unwanted:
        if known.get(identity.network) == identity.number:
            entries.drop_identity(paths, identity.network)


def _missing(paths: NodePaths, identities: Iterable[CidrIdentity]) -> Iterator[CidrIdentity]:
    """Those that a lookup does not find. Only for them the whole ipcache has to be read."""
    with entries.ipcache_map(paths) as table:
        for identity in identities:
            found = table.lookup(entries.ipcache_key(identity.network))
            if found is None or ipcache.Value.unpack(found).sec_identity != identity.number:
                yield identity


def _known(paths: NodePaths, networks: Iterable[Network]) -> dict[Network, int]:
    """What the ipcache says of exactly these prefixes. A lookup would give the longest prefix around each."""
    keys = {entries.ipcache_key(network): network for network in networks}
    found: dict[Network, int] = {}
    if keys:
        with contextlib.suppress(FileNotFoundError), entries.ipcache_map(paths) as table:
            for key, value in table.entries():
                if key in keys:
                    found[keys[key]] = ipcache.Value.unpack(value).sec_identity
    return found
