"""The survey of programs at real hooks: tcx, tc filters, XDP, cgroups; names in full; links that are pinned."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.link import Link, tcx_programs
from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.program import Program
from cilium_py.explain.attach import findings
from cilium_py.libbpf.constants import AttachType
from cilium_py.net import filter as tc
from cilium_py.net import libc
from cilium_py.net.netlink import netlink
from cilium_py.paths import NodePaths
from cilium_py.survey.model import Attachment, Survey
from cilium_py.survey.take import cgroup_roots, take
from tests.features import Feature, require


@pytest.fixture
def paths(bpffs: Path, tmp_path: Path) -> NodePaths:
    found = NodePaths(bpffs, tmp_path / "state")
    found.globals.mkdir(parents=True)
    return found


@pytest.fixture
def loaded(probe: Path, paths: NodePaths) -> Iterator[BpfObject]:
    with BpfObject.open(probe, pin_root=paths.globals) as opened:
        opened.load()
        yield opened


def at(survey: Survey, device: str) -> list[tuple[str, str, int]]:
    return [(each.how, each.hook, each.program_id) for each in survey.attachments if each.device == device]


def test_every_kind_of_hook(loaded: BpfObject, paths: NodePaths, veth: int) -> None:
    require(Feature("tcx", since="6.6"), lambda: tcx_programs(veth, "ingress"))
    decide, drop = loaded.programs["decide"], of_type(loaded, "xdp")
    with Link.tcx(decide, veth, "ingress") as link, Link.xdp(drop, veth, "generic"), netlink() as talk:
        tc.attach(talk, veth, "egress", decide.fd, "a_filter")
        pin = paths.bpf_root / "cilium/devices/one/links/decide"
        pin.parent.mkdir(parents=True)
        link.pin(pin)
        survey = take(paths)
        assert at(survey, "one") == [
            ("tcx", "ingress", decide.info.id), ("xdp", "xdp", drop.info.id), ("tc", "egress", decide.info.id),
        ]  # fmt: skip
        [filter] = [each for each in survey.attachments if each.how == "tc"]
        assert filter.name == "a_filter"
        assert [(each.path, each.ifindex, each.link_id) for each in survey.links] == [(str(pin), veth, link.info.id)]
        assert {"lo", "one", "two"} <= {each.name for each in survey.devices}
        assert survey.unseen == []
        facts = survey.program(decide.info.id)
        assert facts is not None
        assert (facts.name, facts.type, facts.map_ids) == ("decide", "sched_cls", list(decide.info.map_ids))
        used = {each.id: each.name for each in survey.maps}
        assert set(decide.info.map_ids) <= used.keys()
    pin.unlink()
    left = [("tc", "egress", decide.info.id)]
    assert eventually(lambda: at(take(paths), "one") == left)


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it comes true: the kernel frees the last reference to a link in its own time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def of_type(loaded: BpfObject, name: str) -> Program:
    return next(program for program in loaded.programs.values() if program.info.type_name == name)


def test_a_link_outlives_its_interface(loaded: BpfObject, paths: NodePaths, veth: int) -> None:
    require(Feature("tcx", since="6.6"), lambda: tcx_programs(veth, "ingress"))
    pin = paths.bpf_root / "cilium/endpoints/1/links/decide"
    pin.parent.mkdir(parents=True)
    with Link.tcx(loaded.programs["decide"], veth, "ingress") as link:
        link.pin(pin)
    subprocess.run(["ip", "link", "del", "one"], check=True)
    survey = take(paths)
    assert [(each.ifindex, each.kind) for each in survey.links] == [(0, "tcx")]
    assert [(each.severity, each.kind) for each in findings(survey)] == [("warning", "stale link")]


@pytest.fixture
def cgroup_root(tmp_path: Path) -> Iterator[Path]:
    """Where the tree of cgroups is mounted; where it is not, mounted for this test alone."""
    if found := cgroup_roots():
        yield found[0]
        return
    root = tmp_path / "cgroup"
    root.mkdir()
    libc.mount("none", root, "cgroup2")
    yield root
    libc.unmount(root)


@pytest.mark.usefixtures("veth")
def test_programs_of_the_root_cgroup(loaded: BpfObject, paths: NodePaths, cgroup_root: Path) -> None:
    program = of_type(loaded, "cgroup_sock_addr")
    with Link.cgroup(program, cgroup_root, AttachType.CGROUP_INET4_CONNECT):
        found = [
            each for each in take(paths).attachments if each.how == "cgroup" and each.program_id == program.info.id
        ]
    assert found == [Attachment(str(cgroup_root), 0, "inet4_connect", "cgroup", program.info.id, 0)]
