"""Real maps and programs: in a mount namespace of the test process, on bpf file systems of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.cli.main import main
from cilium_py.maps import ct
from tests.features import lacking
from tests.kernel.flows import CT, FLOWS, make

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
OBJECTS = Path(__file__).parent / "objects"

Said = Callable[..., tuple[int, str, str]]

LIBC = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: object) -> None:
    if getattr(LIBC, function)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


@pytest.fixture(scope="session", autouse=True)
def own_mounts(as_root: None) -> None:  # noqa: ARG001  a fixture for its effect
    """From here on nothing that this process mounts is seen outside of it; it ends with the process."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None)


@pytest.fixture
def bpffs(tmp_path: Path) -> Iterator[Path]:
    """An empty bpf file system."""
    root = tmp_path / "bpf"
    mount_bpffs(root)
    yield root
    call("umount2", os.fsencode(root), 0)


@pytest.fixture
def pins(bpffs: Path) -> Path:
    """The directory of a node's maps, empty."""
    directory = bpffs / "tc" / "globals"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def flows(pins: Path) -> Iterator[BpfMap]:
    """The conntrack map with a few connections."""
    with make(pins, CT, ct.Key4.size, ct.Entry.size) as made:
        for flow in FLOWS:
            made.update(flow.key(), flow.value())
        yield made


@pytest.fixture
def said(bpffs: Path, capfd: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of a command on the node of this test."""
        with pytest.raises(SystemExit) as stop:
            main(["--bpf-root", str(bpffs), "--state-dir", str(bpffs / "state"), "bpf", *words])
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return run


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """A cgroup of our own without processes, in the one global tree."""
    root = tmp_path / "cgroup"
    root.mkdir()
    call("mount", b"none", os.fsencode(root), b"cgroup2", ctypes.c_ulong(0), None)
    child = root / f"cilium-py-test-{os.getpid()}"
    child.mkdir()
    yield child
    child.rmdir()
    call("umount2", os.fsencode(root), 0)


@pytest.fixture
def veth() -> Iterator[int]:
    """The index of one end of a veth pair, in a network namespace that this test alone is in."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    call("unshare", CLONE_NEWNET)
    try:
        subprocess.run(["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"], check=True)
        for name in ("lo", "one", "two"):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        listed = subprocess.run(["ip", "-o", "link", "show", "one"], check=True, capture_output=True, text=True)
        yield int(listed.stdout.split(":")[0])
    finally:
        call("setns", home, CLONE_NEWNET)
        os.close(home)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile tests/kernel/objects/<name>.bpf.c, once a session."""
    clang = shutil.which("clang-19") or shutil.which("clang")
    built: dict[str, Path] = {}

    def compile(name: str) -> Path:
        if name not in built:
            if clang is None:
                lacking("clang")
            source, target = OBJECTS / f"{name}.bpf.c", tmp_path_factory.mktemp("objects") / f"{name}.o"
            flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"]
            include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
            subprocess.run([clang, *flags, include, "-c", source, "-o", target], check=True)
            built[name] = target
        return built[name]

    return compile


@pytest.fixture
def probe(build: Callable[[str], Path]) -> Path:
    return build("probe")
