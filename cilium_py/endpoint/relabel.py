"""Change the labels of an endpoint, and with them its identity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cilium_py.errors import CiliumPyError
from cilium_py.loader import state
from cilium_py.node import labels as label_words
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.policy import realize

from . import lifecycle, store
from .model import Endpoint
from .regenerate import Build, regenerate_locked

TEMPORARY = ("+", "-")
"""What follows the endpoint's name as a user of the identity that it gets, and of the one that it had."""
NOBODY = "reserved:init"
"""The label of an endpoint that has none."""


def relabel(paths: NodePaths, endpoint_id: int, added: Iterable[str] = (), deleted: Iterable[str] = ()) -> Endpoint:
    """Add and delete labels, and wait until the endpoint has the identity of the result.

    A label of the workload itself is not forgotten but disabled; adding it enables it again. The other endpoints'
    policies know the new identity before a packet has it, and the old one until no packet has it any more.
    """
    added, deleted = tuple(map(label_words.parse, added)), tuple(map(label_words.parse, deleted))
    node = NodeConfig.load(paths)
    identities = node.identity_store(paths)
    user = f"{node.name}/{endpoint_id}"
    before = store.load(paths, endpoint_id)
    wanted = with_labels(before, added, deleted)
    if wanted == before:
        return before
    identities.allocate(wanted.labels, f"{user}+")
    try:
        realize.refresh_others(paths, endpoint_id)
        with state.locked(store.lock_of(paths, endpoint_id)):
            wanted = with_labels(store.load(paths, endpoint_id), added, deleted)
            lifecycle.awaits_identity(paths, endpoint_id, "New labels")
            identities.allocate(before.labels, f"{user}-")
            identity = identities.allocate(wanted.labels, user)
            lifecycle.has_identity(paths, endpoint_id, identity)
            try:
                made = regenerate_locked(paths, node, replace(wanted, identity=identity), Build(reason="new labels"))
            except BaseException:
                identities.allocate(before.labels, user)
                raise
    finally:
        for temporary in TEMPORARY:
            identities.release(user + temporary)
    realize.refresh_others(paths, endpoint_id)
    return made


def with_labels(endpoint: Endpoint, added: Iterable[str], deleted: Iterable[str]) -> Endpoint:
    """The endpoint with other labels, its identity not yet that of them. Raises CiliumPyError for one it has not."""
    labels, custom, disabled = set(endpoint.labels), set(endpoint.custom_labels), set(endpoint.disabled_labels)
    for label in deleted:
        if label not in labels:
            raise CiliumPyError(f"endpoint {endpoint.id}: no label {label}", f"cilium-py endpoint labels {endpoint.id}")
        labels.remove(label)
        if label not in custom:
            disabled.add(label)
        custom.discard(label)
    labels.discard(NOBODY)
    for label in added:
        if label in labels:
            continue
        labels.add(label)
        if label not in disabled:
            custom.add(label)
        disabled.discard(label)
    return replace(
        endpoint,
        labels=label_words.canonical(labels) or (NOBODY,),
        custom_labels=label_words.canonical(custom),
        disabled_labels=label_words.canonical(disabled),
    )
