"""Events that a Cilium agent passes on through its monitor socket: those of the programs, and its own."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Any, Self

from cilium_py.bpf.perf import Sample
from cilium_py.errors import CiliumPyError, NotPermitted, Partial
from cilium_py.monitor.gob import BadGob, Decoder
from cilium_py.monitor.source import Losses

SAMPLE, LOST = 9, 2
"""Types of a payload: the numbers of the perf records that they once were."""

CHUNK = 1 << 18


class AgentSource:
    """Reads payload.Payload{Data, CPU, Lost, Type}, a gob each, from the socket of protocol 1.2."""

    def __init__(self, connection: socket.socket, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._decoder = Decoder()
        self._lost = 0
        self._ended = False
        self.failure: Partial | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotPermitted, or CiliumPyError where no agent listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.connect(os.fspath(path))
        except PermissionError as error:
            connection.close()
            raise NotPermitted(f"{path}: permission denied", "run as root") from error
        except OSError as error:
            connection.close()
            why = error.strerror or str(error)
            raise CiliumPyError(f"{path}: {why}", "an agent listens at /var/run/cilium/monitor1_2.sock") from error
        return cls(connection, path)

    def describe(self) -> str:
        return f"Listening for events of the agent at {self._path}"

    def read(self, seconds: float) -> list[Sample]:
        ready, _, _ = select.select([self._connection], [], [], seconds)
        if not ready:
            return []
        try:
            data = self._connection.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            if not self._ended:
                self.failure = Partial(f"{self._path}: the agent closed it, no more events come", "run it again")
            self._ended = True
            return []
        now = time.time_ns()
        try:
            payloads = self._decoder.feed(data)
        except BadGob as error:
            raise CiliumPyError(f"{self._path}: not what an agent sends: {error}") from error
        return [sample for payload in payloads if (sample := self._sample(now, payload)) is not None]

    def _sample(self, now: int, payload: Any) -> Sample | None:  # what the gob said
        if not isinstance(payload, dict):
            return None
        if payload.get("Type") == LOST:
            self._lost += payload.get("Lost", 0)
        if payload.get("Type") != SAMPLE:
            return None
        return now, payload.get("CPU", 0), payload.get("Data", b"")

    @property
    def losses(self) -> Losses:
        return Losses(self._lost, 0)

    @property
    def ended(self) -> bool:
        return self._ended

    def stop(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._connection.close()
