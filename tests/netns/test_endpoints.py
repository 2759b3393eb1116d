"""Endpoints made and deleted by hand, as on a node that is no lab."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, ip_interface, ip_network

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.endpoint import states, status, store
from cilium_py.endpoint.add import Request, add
from cilium_py.endpoint.delete import delete
from cilium_py.endpoint.regenerate import regenerate
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.lab import Lab, build, teardown
from cilium_py.net import address, libc, link, route
from cilium_py.net.namespace import NetNamespace
from cilium_py.net.netlink import netlink
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from tests.netns.conftest import cilium_on
from tests.netns.traffic import ping

MS_RDONLY, MS_REMOUNT = 1, 32
MADE = [f"made{n}" for n in range(6)]


@pytest.fixture(scope="module")
def node() -> Iterator[Lab]:
    """A node without pods, and namespaces that are nobody's."""
    made = build.up(Lab.planned(1, 0))
    for name in MADE:
        NetNamespace.named(name).create()
    yield made
    teardown.down(made.root)
    for name in MADE:
        NetNamespace.named(name).delete()


@pytest.fixture
def empty(node: Lab) -> Iterator[Lab]:
    """The node, with no endpoint before and after."""
    assert store.ids(node.paths("node1")) == []
    yield node
    for endpoint_id in store.ids(node.paths("node1")):
        delete(node.paths("node1"), endpoint_id)


def pins(lab: Lab) -> set[str]:
    return {path.name for path in lab.paths("node1").globals.iterdir()}


def entries(lab: Lab, table: str) -> int:
    with BpfMap.open(lab.paths("node1").globals / table) as opened:
        return len(list(opened.keys()))


def test_add_and_delete_leave_nothing(empty: Lab) -> None:
    paths = empty.paths("node1")
    before = pins(empty), entries(empty, "cilium_lxc"), entries(empty, "cilium_ipcache_v2")
    made = add(paths, Request(netns="made0", labels=("app=web",)))
    assert made.id == 1
    assert made.identity >= 256
    assert pins(empty) - before[0] == {"cilium_policy_v2_00001", "cilium_calls_00001"}
    assert entries(empty, "cilium_lxc") == before[1] + 2
    assert ping(empty, "node1", str(made.ipv4))
    delete(paths, made.id)
    after = pins(empty), entries(empty, "cilium_lxc"), entries(empty, "cilium_ipcache_v2")
    assert after == before
    assert not paths.endpoint_links(made.id).parent.exists()
    assert [path.name for path in paths.state_dir.iterdir() if path.name.startswith("1")] == []


def test_asking_twice_changes_nothing(empty: Lab) -> None:
    request = Request(name="web", netns="made0", ipv4=IPv4Address("10.244.1.77"), labels=("app=web", "zone=a"))
    first = add(empty.paths("node1"), request)
    assert add(empty.paths("node1"), request) == first
    assert first.labels == ("container:app=web", "container:zone=a")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(netns="made0", ipv4=IPv4Address("10.244.1.78")), "is there already"),
        (Request(netns="made1", ipv4=IPv4Address("10.244.1.77")), "has it already"),
        (Request(netns="made1", name="web"), "has it already"),
        (Request(netns="made1", id=1), "has it already"),
        (Request(netns="no-such"), "no such network namespace"),
        (Request(interface="no-such", ipv4=IPv4Address("10.244.1.79"), mac=bytes(6)), "no such network interface"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_conflicts_change_nothing(empty: Lab, request_: Request, words: str) -> None:
    paths = empty.paths("node1")
    made = add(paths, Request(name="web", netns="made0", ipv4=IPv4Address("10.244.1.77")))
    with pytest.raises(CiliumPyError, match=words):
        add(paths, request_)
    assert list(store.all(paths)) == [made]


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request(interface="theirs", ipv4=IPv4Address("10.244.1.90")),
        Request(netns="../escape"),
        Request(netns="made0", name="../../escape"),
        Request(netns="made0", pod_interface="a/b"),
        Request(netns="made0", id=0),
        Request(netns="made0", id=65535),
        Request(netns="made0", labels=("no such=label",)),
        Request(netns="made0", labels=("reserved:nobody",)),
        Request(netns="made0", ipv4=IPv4Address("10.244.1.254")),
    ],
)
def test_wrong_words_are_refused(empty: Lab, request_: Request) -> None:
    with pytest.raises(WrongUsage):
        add(empty.paths("node1"), request_)
    assert store.ids(empty.paths("node1")) == []


def test_parallel_adds(empty: Lab) -> None:
    paths = empty.paths("node1")
    with ThreadPoolExecutor(len(MADE)) as pool:
        made = list(pool.map(lambda name: add(paths, Request(netns=name, labels=(f"name={name}",))), MADE))
    assert sorted(endpoint.id for endpoint in made) == list(range(1, len(MADE) + 1))
    assert len({endpoint.ipv4 for endpoint in made}) == len(MADE)
    assert len({endpoint.identity for endpoint in made}) == len(MADE)


def test_same_labels_same_identity(empty: Lab) -> None:
    paths = empty.paths("node1")
    first = add(paths, Request(netns="made0", labels=("app=web",)))
    second = add(paths, Request(netns="made1", labels=("app=web",)))
    third = add(paths, Request(netns="made2", labels=("app=db",)))
    assert first.identity == second.identity != third.identity


def test_identity_is_given_back(empty: Lab) -> None:
    paths = empty.paths("node1")
    first = add(paths, Request(netns="made0", labels=("app=web",)))
    delete(paths, first.id)
    assert add(paths, Request(netns="made0", labels=("app=db",))).identity == first.identity


def test_commands(empty: Lab) -> None:
    cilium = cilium_on(empty, "node1")
    cilium("endpoint", "add", "--netns", "made0", "--label", "app=web", "--ip", "10.244.1.50")
    listed = json.loads(cilium("endpoint", "list", "-o", "json").stdout)
    assert [row["status"] for row in listed] == ["ready"]
    assert listed[0]["ipv4"] == "10.244.1.50"
    shown = json.loads(cilium("endpoint", "get", "1").stdout)[0]
    assert shown["status"]["state"] == "ready"
    assert cilium("status").returncode == 0
    assert "Would delete" in cilium("endpoint", "delete", "1", "--dry-run").stdout
    assert store.ids(empty.paths("node1")) == [1]
    cilium("endpoint", "delete", "1", "--yes")
    assert cilium("endpoint", "get", "1", check=False).returncode == 1


def test_status_tells_what_is_missing(empty: Lab) -> None:
    cilium = cilium_on(empty, "node1")
    made = add(empty.paths("node1"), Request(netns="made0"))
    (empty.paths("node1").endpoint_links(made.id) / "cil_from_container").unlink()
    done = cilium("status", check=False)
    assert done.returncode == 1
    assert "cil_from_container is not attached" in done.stdout
    cilium("endpoint", "regenerate", "1")
    assert cilium("status").returncode == 0


@pytest.mark.parametrize("phase", ["prepareBuild", "bpfWaitForELF", "bpfLoadProg", "mapSync"])
def test_killed_while_adding(empty: Lab, phase: str) -> None:
    """Whatever was made by then, asking again completes it and deleting removes it."""
    paths = empty.paths("node1")
    before = pins(empty)
    for finish in ("add", "delete"):
        _add_and_die(empty, "made0", phase)
        assert store.ids(paths) == [1]
        assert cilium_on(empty, "node1")("endpoint", "list").returncode == 0
        if finish == "add":
            assert add(paths, Request(netns="made0")).id == 1
            assert ping(empty, "node1", str(store.load(paths, 1).ipv4))
        delete(paths, 1)
        assert pins(empty) == before
        assert store.ids(paths) == []
        assert NodeConfig.load(paths).identity_store(paths).all() == []


def _add_and_die(lab: Lab, netns: str, phase: str) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from cilium_py.endpoint.add import Request, add\n"
        "from cilium_py.endpoint.regenerate import Build\n"
        "from cilium_py.loader.phases import Phases\n"
        "from cilium_py.paths import NodePaths\n"
        "def die(name, seconds):\n"
        "    if name == sys.argv[4]: os.kill(os.getpid(), 9)\n"
        "paths = NodePaths(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "add(paths, Request(netns=sys.argv[3]), Build(phases=Phases(die)))\n"
    )
    paths = lab.paths("node1")
    arguments = [sys.executable, "-c", code, str(paths.bpf_root), str(paths.state_dir), netns, phase]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL


def test_namespace_gone(empty: Lab) -> None:
    """An endpoint whose workload went away says so, and can be deleted."""
    paths = empty.paths("node1")
    gone = NetNamespace.named("gone")
    gone.create()
    made = add(paths, Request(netns="gone"))
    gone.delete()
    deadline = time.monotonic() + 5
    node = NodeConfig.load(paths)
    while status.state_of(paths, node, made) != states.DISCONNECTED and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes a namespace down in the background
    assert status.state_of(paths, node, made) == states.DISCONNECTED
    with pytest.raises(CiliumPyError):
        regenerate(paths, made.id)
    assert "disconnected" in cilium_on(empty, "node1")("status", check=False).stdout
    delete(paths, made.id)
    assert store.ids(paths) == []


def test_existing_interface(empty: Lab) -> None:
    """An interface that someone else made gets programs, and keeps itself when the endpoint goes."""
    paths = empty.paths("node1")
    node, workload = NetNamespace.named(empty.netns("node1")), NetNamespace.named("made5")
    theirs, own = bytes.fromhex("020000000007"), IPv4Address("10.244.1.90")
    with netlink(node) as socket:
        link.create_veth(socket, "theirs", "eth7", None, theirs, workload)
    with netlink(workload) as socket:
        index = link.get(socket, "eth7").index
        address.put(socket, index, ip_interface(own))
        link.set_up(socket, index)
        route.put(socket, ip_network("0.0.0.0/0"), index)
    made = add(paths, Request(interface="theirs", ipv4=own, mac=theirs))
    assert (made.name, made.ipv6) == ("theirs", None)
    assert status.problems(paths, NodeConfig.load(paths), made) == []
    assert ping(empty, "node1", str(own))
    delete(paths, made.id)
    with netlink(node) as socket:
        assert link.find(socket, "theirs") is not None
        link.delete(socket, "theirs")


def test_unwritable_state_changes_nothing(empty: Lab) -> None:
    """A state directory on a full or read-only disk: an error, and the program that runs goes on."""
    paths = empty.paths("node1")
    made = add(paths, Request(netns="made0"))
    libc.mount(str(paths.state_dir), paths.state_dir, flags=libc.MS_BIND)
    libc.mount("none", paths.state_dir, flags=libc.MS_BIND | MS_REMOUNT | MS_RDONLY)
    try:
        with pytest.raises((OSError, CiliumPyError)):
            regenerate(paths, made.id)
        assert ping(empty, "node1", str(made.ipv4))
    finally:
        libc.unmount(paths.state_dir)
    assert regenerate(paths, made.id) == made


def test_full_disk_changes_nothing(empty: Lab) -> None:
    paths = empty.paths("node1")
    made = add(paths, Request(netns="made0"))
    small = paths.state_dir.with_name("small")
    small.mkdir()
    libc.mount("tmpfs", small, "tmpfs", options="size=64k,nr_inodes=100")
    try:
        shutil.copytree(paths.state_dir, small, dirs_exist_ok=True)
        with (small / "filler").open("wb") as filler, contextlib.suppress(OSError):
            filler.write(bytes(1 << 20))
        full = NodePaths(paths.bpf_root, small)
        with pytest.raises((OSError, CiliumPyError)):
            regenerate(full, made.id)
        assert store.load(full, made.id) == made
        with pytest.raises(OSError, match=f"No space left on device: '{full.endpoint_next(made.id + 1)}/"):
            add(full, Request(netns="made1"))
        assert store.ids(full) == [made.id]
        assert ping(empty, "node1", str(made.ipv4))
        (small / "filler").unlink()
        assert regenerate(full, made.id) == made
    finally:
        libc.unmount(small)
        small.rmdir()


def test_a_new_endpoint_inherits_no_connection(empty: Lab) -> None:
    """Who gets the address of an endpoint that went away is not let through by its connections."""
    paths = empty.paths("node1")
    address = IPv4Address("10.244.1.60")
    old = add(paths, Request(netns="made0", ipv4=address))
    neighbour = add(paths, Request(netns="made1"))
    assert ping(empty, "node1", str(address))
    assert ping(empty, "node1", str(neighbour.ipv4))
    delete(paths, old.id)
    assert entries(empty, "cilium_ct_any4_global") > 0
    add(paths, Request(netns="made2", ipv4=address))
    assert connections(empty, address.packed) == 0
    assert neighbour.ipv4 is not None
    assert connections(empty, neighbour.ipv4.packed) > 0


def connections(lab: Lab, address: bytes) -> int:
    with BpfMap.open(lab.paths("node1").globals / "cilium_ct_any4_global") as opened:
        return sum(address in (key[:4], key[4:8]) for key in list(opened.keys()))
