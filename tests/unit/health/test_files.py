"""Files that users name for a process of health: nothing of theirs is written over or removed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.health import pidfile
from cilium_py.health.detach import Ready, detach
from cilium_py.health.webserver import WebServer


@pytest.mark.parametrize("content", [b"root:x:0:0\n", b"1 2", b"1" * 21, b"-1", "١".encode()])
def test_a_file_that_is_no_pid_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(CiliumPyError, match="not a pid file"), pidfile.held(path):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"4194304\n", b"999999999999"])
def test_a_stale_pid_file_is_taken_over(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stale.pid"
    path.write_bytes(content)
    with pidfile.held(path):
        assert pidfile.owner(path) == os.getpid()
    assert not path.exists()


def test_a_pipe_is_no_pid_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CiliumPyError, match="not a pid file"), pidfile.held(tmp_path / "pipe"):
        pass


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_only_a_socket_is_replaced_by_a_socket(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "api"
    {"file": path.touch, "directory": path.mkdir, "link": lambda: path.symlink_to("elsewhere")}[kind]()

    async def listen() -> None:
        server = WebServer({})
        try:
            await server.listen_at(path)
        finally:
            await server.close()

    with pytest.raises(FileExistsError):
        asyncio.run(listen())
    assert os.path.lexists(path)


def test_a_process_in_the_background_tells_the_hint_too() -> None:
    def work(_ready: Ready) -> None:
        raise CiliumPyError("the port is taken", hint="--port names another")

    with pytest.raises(CiliumPyError) as told:
        detach(work)
    assert (told.value.message, told.value.hint) == ("the port is taken", "--port names another")


def test_a_process_in_the_background_names_the_file() -> None:
    def work(_ready: Ready) -> None:
        Path("/nowhere/at/all").read_bytes()

    with pytest.raises(CiliumPyError, match="/nowhere/at/all: No such file or directory"):
        detach(work)
