"""Who may do what, and how a refusal reads: privilege, pins, read-only, frozen, closed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cilium_py.bpf.handle import Handle
from cilium_py.bpf.map import BpfMap, map_ids
from cilium_py.bpf.object import BpfObject
from cilium_py.bpf.pins import is_bpffs, mount_bpffs, walk
from cilium_py.bpf.program import Program
from cilium_py.libbpf.constants import MapType

NOBODY = 65534


def small(name: str = "small") -> BpfMap:
    return BpfMap.create(name=name, type=MapType.HASH, key_size=4, value_size=4, max_entries=4)


def as_nobody(action: Callable[[], object]) -> str:
    """Run the action in a child without privilege; return what it raised, or "" if nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        said = ""
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def test_nobody_is_refused_with_the_path(bpffs: Path) -> None:
    with small() as made:
        made.pin(bpffs / "small")
        refusal = as_nobody(lambda: BpfMap.open(bpffs / "small"))
        assert refusal == (f"PermissionError: [Errno 13] bpf_obj_get_opts: Permission denied: {str(bpffs / 'small')!r}")
        for action in (small, lambda: next(map_ids()), lambda: BpfMap.from_id(made.info.id)):
            assert re.match(r"PermissionError: \[Errno 1\] bpf_map_\w+: Operation not permitted", as_nobody(action))


def test_nothing_pinned(bpffs: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        BpfMap.open(bpffs / "absent")
    assert caught.value.filename == str(bpffs / "absent")
    assert caught.value.strerror == "bpf_obj_get_opts: No such file or directory"


def test_not_on_a_bpffs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Errno 22.*not on a BPF file system.*/file'"):
        BpfMap.open(tmp_path / "file")
    with small() as made, pytest.raises(OSError, match=r"Errno 22.*not on a BPF file system"):
        made.pin(tmp_path / "pin")


def test_pinned_is_something_else(bpffs: Path, probe: Path) -> None:
    with small() as made:
        made.pin(bpffs / "map")
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.load()
        opened.programs["pass"].pin(bpffs / "program")
    with pytest.raises(OSError, match="pinned there is a map, not a program"):
        Program.open(bpffs / "map")
    with pytest.raises(OSError, match="pinned there is a program, not a map"):
        BpfMap.open(bpffs / "program")


def test_read_only_is_the_default(bpffs: Path) -> None:
    with small() as made:
        made.update(b"keys", b"kept")
        made.pin(bpffs / "small")
    with BpfMap.open(bpffs / "small") as opened:
        assert dict(opened.entries()) == {b"keys": b"kept"}
        for change in (
            lambda: opened.update(b"keys", b"lost"),
            lambda: opened.delete(b"keys"),
            lambda: opened.update_batch(b"keys", b"lost"),
            lambda: opened.delete_batch(b"keys"),
            lambda: list(opened.take_batches()),
            opened.freeze,
        ):
            with pytest.raises(PermissionError):
                change()
    with BpfMap.open(bpffs / "small", read_only=False) as opened:
        assert opened.delete(b"keys")


def test_frozen() -> None:
    with small() as made:
        made.update(b"keys", b"kept")
        made.freeze()
        assert made.lookup(b"keys") == b"kept"
        with pytest.raises(PermissionError):
            made.update(b"keys", b"lost")
        with pytest.raises(PermissionError, match="bpf_map_freeze"):
            made.freeze()


def test_closing() -> None:
    made = small()
    fd = made.fd
    assert not made.closed
    made.close()
    made.close()
    assert made.closed
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    for use in (lambda: made.fd, lambda: made.lookup(b"keys"), lambda: made.pin(Path("/nowhere"))):
        with pytest.raises(ValueError, match="BpfMap is closed"):
            use()
    assert "closed" in repr(made)


def test_a_forgotten_handle_closes_its_fd() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    Handle(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_repin_replaces_in_place(bpffs: Path) -> None:
    path = bpffs / "pinned"
    with small("first") as first, small("second") as second:
        first.repin(path)
        with pytest.raises(FileExistsError):
            second.pin(path)
        second.repin(path)
        with BpfMap.open(path) as opened:
            assert opened.info.name == "second"
    assert [pin.path for pin in walk(bpffs)] == [path]


def test_repin_cleans_up_when_it_cannot(bpffs: Path) -> None:
    (bpffs / "taken").mkdir()
    with small() as made, pytest.raises(OSError, match="taken"):
        made.repin(bpffs / "taken")
    assert list(walk(bpffs)) == []


def test_walk_tells_what_is_pinned(bpffs: Path, probe: Path) -> None:
    (bpffs / "tc").mkdir()
    with BpfObject.open(probe, pin_root=bpffs / "tc") as opened:
        opened.load()
        opened.programs["pass"].pin(bpffs / "tc" / "a_program")
    found = {str(path.relative_to(bpffs)): kind for path, kind in walk(bpffs)}
    assert found == {"tc/a_program": "program", "tc/shared_pairs": "map"}
    assert list(walk(bpffs / "absent")) == []


def test_mounting(tmp_path: Path, bpffs: Path) -> None:
    assert is_bpffs(bpffs)
    assert not is_bpffs(tmp_path)
    before = Path("/proc/self/mountinfo").read_text()
    mount_bpffs(bpffs)
    assert Path("/proc/self/mountinfo").read_text() == before
    assert bpffs.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        is_bpffs(tmp_path / "absent")
