"""Two nodes with the endpoint programs loaded: one that leaves routing to the stack, one that routes itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.prog.actors import NETWORK, OPTIONS, PODS, Node
from tests.prog.datapath import Datapath
from tests.prog.network import own_network


@pytest.fixture(scope="session")
def network(as_root: None) -> Iterator[None]:  # noqa: ARG001  a fixture for its effect
    """The session runs in a network namespace of its own, on one CPU, as the programs' per-CPU maps need it."""
    cpus = os.sched_getaffinity(0)
    with own_network(NETWORK):
        yield
    os.sched_setaffinity(0, cpus)


@pytest.fixture(scope="session")
def stack_routing(network: None) -> Iterator[Datapath]:  # noqa: ARG001
    with Datapath([pod.endpoint for pod in PODS], {**OPTIONS, "enable_sctp": True}) as datapath:
        yield datapath


@pytest.fixture(scope="session")
def host_routing(network: None) -> Iterator[Datapath]:  # noqa: ARG001
    options = {**OPTIONS, "enable_host_routing": True, "enable_conntrack_accounting": True}
    with Datapath([pod.endpoint for pod in PODS], options) as datapath:
        yield datapath


@pytest.fixture
def node(stack_routing: Datapath) -> Node:
    """A node in its initial state."""
    return Node(stack_routing)


@pytest.fixture
def routing_node(host_routing: Datapath) -> Node:
    """The same, with the programs doing the routing."""
    return Node(host_routing)
