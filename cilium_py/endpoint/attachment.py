"""Where an endpoint's programs sit."""

from __future__ import annotations

from cilium_py.loader.attach import Hook
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from .model import Endpoint


def hooks(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[Hook, Hook]:
    """What the endpoint sends comes in at the host side of its pair, and what it gets goes out there."""
    links = paths.endpoint_links(endpoint.id)
    index, namespace = endpoint.interface_index, node.namespace
    return (
        Hook(index, "ingress", links, namespace, node.attach),
        Hook(index, "egress", links, namespace, node.attach),
    )
