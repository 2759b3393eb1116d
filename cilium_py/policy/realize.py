"""The rules of a node and its endpoints: what each is to have, and bringing all of them to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from cilium_py.endpoint import store
from cilium_py.errors import CiliumPyError, EndpointMissing, LayoutMismatch
from cilium_py.loader import state
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import repository as rules
from .cidr import CidrIdentities
from .desired import DesiredPolicy, Ports, desired
from .identities import Identities
from .repository import Repository

if TYPE_CHECKING:
    from cilium_py.endpoint.model import Endpoint


class Outcome(NamedTuple):
    """An endpoint that was brought to a revision, and what is to be said of that."""

    endpoint: int
    remarks: tuple[str, ...] = ()


def calculate(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> DesiredPolicy | None:
    """The policy of an endpoint by the rules of now; None on a node that never had any, whose maps are not ours."""
    repository = rules.load(paths)
    if repository.is_new:
        return None
    return calculate_by(repository, paths, node, endpoint)


def calculate_by(
    repository: Repository, paths: NodePaths, node: NodeConfig, endpoint: Endpoint, known: Identities | None = None
) -> DesiredPolicy:
    """The policy of an endpoint by these rules, among the identities of now unless others are given."""
    always = bool(endpoint.options["IngressEnforcement"]), bool(endpoint.options["EgressEnforcement"])
    return desired(repository, known or Identities.of(paths, node), endpoint, _ports(paths, endpoint), always)


def _ports(paths: NodePaths, endpoint: Endpoint) -> Ports:
    peers: dict[str, set[tuple[int, int]]] = {}
    for other in store.all(paths):
        for name, port in other.named_ports.items():
            peers.setdefault(name, set()).add(port)
    return Ports({name: (port,) for name, port in endpoint.named_ports.items()}, peers)


def refresh(paths: NodePaths, endpoints: Iterable[int] | None = None) -> Iterator[Outcome]:
    """Bring endpoints, all of them unless named, to the rules and identities of now.

    An endpoint that cannot be brought there does not keep others from it; the first such error is raised at the end.
    """
    failure: CiliumPyError | None = None
    for endpoint_id in store.ids(paths) if endpoints is None else endpoints:
        try:
            # Deleted since it was listed, an endpoint needs no policy.
            with suppress(EndpointMissing):
                yield _refresh(paths, endpoint_id)
        except CiliumPyError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def refresh_others(paths: NodePaths, endpoint_id: int) -> None:
    """Let the other endpoints know that an endpoint's identity is new, or gone. The caller holds no endpoint's lock."""
    if not rules.load(paths).is_new:
        deque(refresh(paths, (other for other in store.ids(paths) if other != endpoint_id)), maxlen=0)


def _refresh(paths: NodePaths, endpoint_id: int) -> Outcome:
    from cilium_py.endpoint.model import Policy
    from cilium_py.endpoint.regenerate import Build, regenerate_locked

    store.load(paths, endpoint_id)
    with state.locked(store.lock_of(paths, endpoint_id)):
        endpoint, node = store.load(paths, endpoint_id), NodeConfig.load(paths)
        wanted = calculate(paths, node, endpoint)
        if wanted is None:
            return Outcome(endpoint_id)
        if _apply_in_place(paths, endpoint, wanted):
            policy = Policy(wanted.revision, wanted.enforce_ingress, wanted.enforce_egress)
            store.save(paths.endpoint(endpoint_id), replace(endpoint, policy=policy))
        else:
            regenerate_locked(paths, node, endpoint, Build(reason="rules changed"))
    return Outcome(endpoint_id, wanted.remarks)


def _apply_in_place(paths: NodePaths, endpoint: Endpoint, wanted: DesiredPolicy) -> bool:
    """Bring the map that the programs use to the policy; False if it has no room for that, or is none of rules yet."""
    from cilium_py.loader.pins import policy_pin

    from . import table

    if not endpoint.policy.revision or not paths.endpoint(endpoint.id).exists():
        return False
    try:
        with table.policy_map(policy_pin(paths, endpoint.id), read_only=False) as opened:
            table.apply(opened, wanted)
    except (FileNotFoundError, LayoutMismatch, table.PolicyMapTooSmall):
        return False
    return True


def publish(paths: NodePaths, node: NodeConfig, endpoint_id: int, revision: int) -> None:
    """Put the identities of CIDRs into the ipcache if they are not there, as after a reboot, and all other endpoints
    have the revision; else whoever brings them to it will do so.
    """
    from . import addresses

    cidrs = CidrIdentities.of(paths).all()
    others = (other.policy.revision for other in store.all(paths) if other.id != endpoint_id)
    if cidrs and all(other == revision for other in others):
        addresses.publish(paths, node, cidrs)


def install(paths: NodePaths, repository: Repository) -> Iterator[Outcome]:
    """Make these the rules of the node, and bring every endpoint to them. The caller holds the policy lock.

    If they want more than some endpoint's policy map can hold, nothing changes. Addresses change identity only when
    the endpoints have entries for the new one, and entries for the old one go only after that, so what both revisions
    allow passes at every moment.
    """
    from . import addresses, table

    node = NodeConfig.load(paths)
    cidrs = CidrIdentities.of(paths)
    before = rules.load(paths)
    cidrs.hold(repository.networks())
    try:
        for endpoint in store.all(paths):
            table.check_size(calculate_by(repository, paths, node, endpoint))
    except CiliumPyError:
        cidrs.hold(before.networks())
        cidrs.release()
        raise
    rules.save(paths, repository)
    yield from refresh(paths)
    addresses.publish(paths, node, cidrs.all())
    unused = cidrs.unused()
    if unused:
        addresses.withdraw(paths, unused)
        cidrs.release()
        yield from refresh(paths)
