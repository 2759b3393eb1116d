"""Waiting for the endpoints of a node to have a revision of the rules."""

from __future__ import annotations

import time

from cilium_py.endpoint import store
from cilium_py.endpoint.model import Endpoint
from cilium_py.errors import CiliumPyError
from cilium_py.paths import NodePaths

from . import repository
from .repository import FIRST_REVISION


class NotReached(CiliumPyError):
    """Some endpoint does not have the revision in time."""


def wait_for(paths: NodePaths, revision: int, most: float, pause: float, most_after_failure: float) -> None:
    """Return when every endpoint has the revision or a later one. Raises NotReached."""
    begun = time.monotonic()
    while True:
        current = repository.load(paths).revision
        behind = [endpoint for endpoint in store.all(paths) if _revision(endpoint) < revision]
        if not behind and current >= revision:
            return
        failed = [endpoint.id for endpoint in behind if paths.endpoint_failed(endpoint.id).exists()]
        waited = time.monotonic() - begun
        if failed and waited >= most_after_failure:
            raise NotReached(
                f"endpoints {', '.join(map(str, failed))} failed to regenerate",
                hint=f"cilium-py endpoint regenerate {failed[0]} says why",
            )
        if waited >= most:
            said = "".join(f", endpoint {endpoint.id} is at {_revision(endpoint)}" for endpoint in behind)
            raise NotReached(f"revision {revision} was not reached within {most:g} s: the rules are at {current}{said}")
        time.sleep(min(pause, most - waited))


def _revision(endpoint: Endpoint) -> int:
    """That of an endpoint; one that was never under a rule has what there was before the first."""
    return max(endpoint.policy.revision, FIRST_REVISION)
