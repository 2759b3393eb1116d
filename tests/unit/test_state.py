"""Files that are always whole, directories that trade places, locks."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from cilium_py.loader import state


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    state.write(path, "old")
    state.write(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["file"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    state.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        state.write(path, "\ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "file").symlink_to(victim)
    (tmp_path / f".file.{os.getpid()}").symlink_to(victim)
    state.write(tmp_path / "file", "new")
    assert victim.read_text() == "untouched"
    assert (tmp_path / "file").read_text() == "new"


def test_directories_trade_places(tmp_path: Path) -> None:
    for name in ("1", "1_next"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    state.exchange(tmp_path / "1_next", tmp_path / "1")
    assert (tmp_path / "1" / "file").read_text() == "1_next"
    assert (tmp_path / "1_next" / "file").read_text() == "1"


def test_the_first_takes_the_name_of_an_absent_second(tmp_path: Path) -> None:
    (tmp_path / "1_next").mkdir()
    state.exchange(tmp_path / "1_next", tmp_path / "1")
    assert names(tmp_path) == ["1"]


def test_exchange_of_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(FileNotFoundError):
        state.exchange(tmp_path / "1_next", tmp_path / "1")
    assert names(tmp_path) == ["1"]


def test_remove_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "file").write_text("untouched")
    doomed = tmp_path / "doomed"
    (doomed / "deep" / "er").mkdir(parents=True)
    (doomed / "deep" / "file").write_text("")
    (doomed / "link").symlink_to(outside)
    state.remove_directory(doomed)
    assert names(tmp_path) == ["outside"]
    (tmp_path / "link").symlink_to(outside)
    state.remove_directory(tmp_path / "link")
    assert names(tmp_path) == ["outside"]
    assert names(outside) == ["file", "inner"]
    state.remove_directory(doomed)


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one"
    order = []
    with state.locked(path):
        assert state.is_locked(path)
        waiter = threading.Thread(target=lambda: _take(path, order))
        waiter.start()
        waiter.join(0.1)
        order.append("holder")
    waiter.join()
    assert order == ["holder", "waiter"]
    assert not state.is_locked(path)


def _take(path: Path, order: list[str]) -> None:
    with state.locked(path):
        order.append("waiter")


def test_a_lock_may_be_deleted_by_its_holder(tmp_path: Path) -> None:
    """Who waited for it gets the new one, and nobody else can get a third."""
    path = tmp_path / "one"
    order: list[str] = []
    with state.locked(path):
        waiter = threading.Thread(target=lambda: _take(path, order))
        waiter.start()
        waiter.join(0.1)
        path.unlink()
    waiter.join()
    assert order == ["waiter"]
    assert path.exists()


def test_nothing_is_locked_where_nothing_is(tmp_path: Path) -> None:
    assert not state.is_locked(tmp_path / "none")
    assert names(tmp_path) == []
