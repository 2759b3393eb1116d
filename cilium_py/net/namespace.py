"""Named network namespaces, in the place where `ip netns` keeps them, and ways to act or run inside one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cilium_py.errors import CiliumPyError, WrongUsage

from . import libc

if TYPE_CHECKING:
    import subprocess

DIRECTORY = Path("/run/netns")
OWN = Path("/proc/thread-self/ns/net")
SO_NETNS_COOKIE = 71
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"


@dataclass(frozen=True)
class NetNamespace:
    """A network namespace that a path stands for."""

    path: Path

    @classmethod
    def named(cls, name: str) -> Self:
        """The namespace that `ip netns` knows by this name, whether it exists or not."""
        if not re.fullmatch(_NAME, name):
            raise WrongUsage(f"{name!r}: not a name for a network namespace")
        return cls(DIRECTORY / name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A name, a process id, or the absolute path of a namespace file."""
        if text.isdecimal():
            return cls(Path("/proc") / text / "ns" / "net")
        return cls(Path(text)) if text.startswith("/") else cls.named(text)

    @property
    def name(self) -> str:
        """What `parse` takes to find this namespace again."""
        return self.path.name if self.path.parent == DIRECTORY else str(self.path)

    def exists(self) -> bool:
        """Whether a namespace is there; a bare file is what a crash or a reboot leaves."""
        try:
            return self.path.stat().st_dev != self.path.parent.stat().st_dev
        except FileNotFoundError:
            return False

    def create(self) -> None:
        """Make the namespace with its loopback device up."""
        _share_directory()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0)
        os.close(descriptor)
        own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc.unshare(libc.CLONE_NEWNET)
            try:
                _bring_loopback_up()
                libc.mount(str(OWN), self.path, flags=libc.MS_BIND)
            finally:
                libc.setns(own, libc.CLONE_NEWNET)
        except OSError:
            self.path.unlink()
            raise
        finally:
            os.close(own)

    def delete(self) -> None:
        """Remove the name; the namespace and its devices go with its last process."""
        try:
            libc.unmount(self.path)
        except OSError as error:
            # EINVAL: a bare file, see exists().
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Act inside: the calling thread's sockets and /proc/sys/net are those of the namespace."""
        with contextlib.ExitStack() as stack:
            own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, own)
            self.enter()
            stack.callback(libc.setns, own, libc.CLONE_NEWNET)
            yield

    def enter(self) -> None:
        """Move the calling thread in for good."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise CiliumPyError(f"{self.path}: no such network namespace") from error
        try:
            libc.setns(descriptor, libc.CLONE_NEWNET)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise CiliumPyError(f"{self.path}: not a network namespace") from error
        finally:
            os.close(descriptor)

    def cookie(self) -> int:
        """The number by which the kernel tells network namespaces apart until it reboots."""
        import socket

        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            value = any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        return int.from_bytes(value, "little")

    def become(self, argv: Sequence[str], etc: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Replace this process by a command that runs inside. Returns only by an error."""
        self._settle(etc)
        os.execvpe(argv[0], list(argv), {**os.environ, **(env or {})})

    def spawn(
        self, argv: Sequence[str], etc: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command inside, its output in text pipes. The caller waits for it."""
        import subprocess

        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: self._settle(etc),
        )

    def run(
        self,
        argv: Sequence[str],
        etc: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end."""
        import subprocess

        process = self.spawn(argv, etc, env)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def _settle(self, etc: Path | None) -> None:
        """Enter; the files of the directory `etc` take the place of those in /etc, seen by this process alone."""
        self.enter()
        if etc is not None:
            libc.unshare(libc.CLONE_NEWNS)
            libc.mount("none", Path("/"), flags=libc.MS_REC | libc.MS_SLAVE)
            places = {file: Path("/etc") / file.name for file in etc.iterdir()}
            if not all(place.exists() for place in places.values()):
                # Nothing can be mounted over a file that is not there, as /etc/hosts of a bare container.
                libc.mount("overlay", Path("/etc"), "overlay", options=f"lowerdir={etc}:/etc")
                return
            for file, place in places.items():
                libc.mount(str(file), place, flags=libc.MS_BIND)


@contextlib.contextmanager
def inside(namespace: NetNamespace | None) -> Iterator[None]:
    """Act inside the namespace, or right here if there is none."""
    if namespace is None:
        yield
    else:
        with namespace.entered():
            yield


def _bring_loopback_up() -> None:
    import socket
    import struct

    request = struct.pack("16sH14x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def _share_directory() -> None:
    """Let a namespace file that is mounted here show in every mount namespace, as `ip netns` does."""
    DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        libc.mount("none", DIRECTORY, flags=libc.MS_SHARED | libc.MS_REC)
    except OSError as error:
        # EINVAL: not a mount point yet.
        if error.errno != errno.EINVAL:
            raise
        libc.mount(str(DIRECTORY), DIRECTORY, flags=libc.MS_BIND | libc.MS_REC)
        libc.mount("none", DIRECTORY, flags=libc.MS_SHARED | libc.MS_REC)
