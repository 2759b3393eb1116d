"""Echoes with less than root's rights, and health on a node of one family."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cilium_py.health import endpoint
from cilium_py.lab import Lab, build, health, teardown
from cilium_py.net import sysctl
from cilium_py.net.namespace import NetNamespace
from tests.netns.conftest import cilium_on

PROGRAM = """
import asyncio, sys
from cilium_py.health.echo import Echo

async def main():
    for version, address in ((4, "127.0.0.1"), (6, "::1")):
        with Echo(version) as sender:
            size, _ = await sender.ping_large(address, 1500)
            print(sender.is_raw, await sender.ping(address, deadline=2) > 0, size)

asyncio.run(main())
"""


@pytest.fixture
def namespace() -> Iterator[NetNamespace]:
    made = NetNamespace.named("echo")
    made.create()
    yield made
    made.delete()


def echoes(namespace: NetNamespace, *wrapper: str) -> subprocess.CompletedProcess[str]:
    return namespace.run([*wrapper, sys.executable, "-c", PROGRAM], timeout=20)


def test_raw_sockets(namespace: NetNamespace) -> None:
    assert echoes(namespace).stdout.splitlines() == ["True True 1500"] * 2


def test_datagram_sockets_where_raw_ones_are_denied(namespace: NetNamespace) -> None:
    with namespace.entered():
        sysctl.write("ipv4/ping_group_range", f"0 {os.getgid()}")
    done = echoes(namespace, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert done.stdout.splitlines() == ["False True 1500"] * 2, done.stderr


def test_neither_is_permitted(namespace: NetNamespace) -> None:
    with namespace.entered():
        sysctl.write("ipv4/ping_group_range", "1 0")
    done = echoes(namespace, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize("family", [4, 6])
def test_node_of_one_family(family: int) -> None:
    made = build.up(Lab.planned(1, 0, ipv4=family == 4, ipv6=family == 6))
    try:
        health.start(made)
        done = cilium_on(made, "node1")("health", "status", "--probe", "-o", "json")
        [node] = json.loads(done.stdout)["nodes"]
        own = endpoint.required(made.paths("node1"))
        assert [str(address) for address in own.addresses] == [node["health-endpoint"]["primary-address"]["ip"]]
        assert "secondary-addresses" not in node["host"]
        # Taken away as any endpoint, it is made again when it is asked for.
        cilium_on(made, "node1")("endpoint", "delete", str(own.id), "--yes")
        assert endpoint.status(made.paths("node1")).state == "missing"
        cilium_on(made, "node1")("health", "endpoint", "add")
        assert cilium_on(made, "node1")("health", "status", "--probe").returncode == 0
    finally:
        teardown.down(made.root)
