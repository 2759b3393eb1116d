"""Links on a veth pair and a cgroup of our own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.link import Link, LinkInfo, TcxProgram, link_ids, tcx_programs
from cilium_py.bpf.object import BpfObject
from cilium_py.libbpf.constants import AttachType, LinkType
from tests.features import Feature, require

TCX = Feature("tcx", since="6.6")
ETH_P_ALL = 3
FRAME = b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + bytes(46)


@pytest.fixture
def loaded(probe: Path, bpffs: Path) -> Iterator[BpfObject]:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.rodata.update(enabled=True, verdict=2)
        opened.load()
        yield opened


@pytest.fixture
def tcx(veth: int) -> int:
    require(TCX, lambda: tcx_programs(veth, "ingress"))
    return veth


def frames_received() -> Callable[[], int]:
    """Listen on `one` for frames that `two` sends; the returned function sends one and counts what came."""

    def send_one() -> int:
        with (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sender,
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as receiver,
        ):
            receiver.bind(("one", 0x88B5))
            receiver.settimeout(0.3)
            sender.bind(("two", 0))
            sender.send(FRAME)
            try:
                receiver.recv(100)
            except TimeoutError:
                return 0
            return 1

    return send_one


def test_tcx_drops_and_lets_go(loaded: BpfObject, tcx: int) -> None:
    received = frames_received()
    assert received() == 1
    with Link.tcx(loaded.programs["decide"], tcx, "ingress") as link:
        assert received() == 0
        link.update(loaded.programs["pass"])
        assert received() == 1
        link.update(loaded.programs["decide"])
        assert received() == 0
    assert received() == 1


def test_tcx_order(loaded: BpfObject, tcx: int) -> None:
    last, first = loaded.programs["pass"], loaded.programs["decide"]
    with (
        Link.tcx(last, tcx, "egress") as behind,
        Link.tcx(first, tcx, "egress", first=True) as before,
    ):
        assert tcx_programs(tcx, "egress") == [
            TcxProgram(first.info.id, before.info.id),
            TcxProgram(last.info.id, behind.info.id),
        ]
        assert tcx_programs(tcx, "ingress") == []
        behind.detach()
        assert [found.program_id for found in tcx_programs(tcx, "egress")] == [first.info.id]
        assert behind.info.ifindex == 0


def test_info_and_ids(loaded: BpfObject, tcx: int) -> None:
    program = loaded.programs["pass"]
    with Link.tcx(program, tcx, "ingress") as link:
        info = link.info
        assert info == LinkInfo(LinkType.TCX, info.id, program.info.id, tcx, AttachType.TCX_INGRESS)
        assert info.type_name == "tcx"
        assert info.id in set(link_ids())
        with Link.from_id(info.id) as same:
            assert same.info == info


def test_update_of_the_expected_program_only(loaded: BpfObject, tcx: int) -> None:
    one, two = loaded.programs["pass"], loaded.programs["decide"]
    with Link.tcx(one, tcx, "ingress") as link:
        with pytest.raises(PermissionError, match="bpf_link_update"):
            link.update(two, expected=two)
        link.update(two, expected=one)
        assert link.info.program_id == two.info.id


def test_a_pinned_link_outlives_its_process(loaded: BpfObject, tcx: int, bpffs: Path) -> None:
    link = Link.tcx(loaded.programs["decide"], tcx, "ingress")
    link.pin(bpffs / "link")
    link.close()
    loaded.close()
    received = frames_received()
    assert received() == 0
    with Link.open(bpffs / "link") as again:
        assert again.info.ifindex == tcx
    (bpffs / "link").unlink()
    assert received() == 1


@pytest.mark.parametrize("mode", ["native", "generic", "any"])
def test_xdp(loaded: BpfObject, veth: int, mode: str) -> None:
    received = frames_received()
    with Link.xdp(loaded.programs["drop_frame"], veth, mode) as link:  # type: ignore[arg-type]
        assert (link.info.ifindex, link.info.type_name) == (veth, "xdp")
        assert received() == 0
    assert received() == 1


def test_no_such_device(loaded: BpfObject) -> None:
    with pytest.raises(OSError, match="bpf_link_create: No such device"):
        Link.tcx(loaded.programs["pass"], 2**30, "ingress")


CONNECT = """
import os, pathlib, socket, sys
pathlib.Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
with socket.create_server(("127.0.0.1", 0)) as server:
    try:
        socket.create_connection(server.getsockname()).close()
    except PermissionError:
        print("refused")
    else:
        print("connected")
"""


def connects(cgroup: Path) -> str:
    run = subprocess.run([sys.executable, "-c", CONNECT, cgroup], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def test_cgroup(loaded: BpfObject, cgroup: Path) -> None:
    hook = AttachType.CGROUP_INET4_CONNECT
    assert connects(cgroup) == "connected"
    with Link.cgroup(loaded.programs["refuse_connect"], cgroup, hook) as link:
        assert (link.info.attach_type, link.info.cgroup_id) == (hook, os.stat(cgroup).st_ino)  # noqa: PTH116
        assert connects(cgroup) == "refused"
        link.update(loaded.programs["allow_connect"])
        assert connects(cgroup) == "connected"
    with pytest.raises(NotADirectoryError):
        Link.cgroup(loaded.programs["refuse_connect"], Path(__file__), hook)
