"""Asking a prober, ours or Cilium's own, over its socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from cilium_py.errors import CiliumPyError, said
from cilium_py.paths import NodePaths
from cilium_py.schema import duration

from .history import Summary
from .model import Report

SOCKET = "health.sock"
VARIABLE = "CILIUM_HEALTH_SOCK"
PATIENCE = 5.0
"""Seconds that an answer may take beyond what was asked for."""


class NoProber(CiliumPyError):
    """Nobody answers at the socket."""


def own_socket(paths: NodePaths) -> Path:
    """Where the prober of the node listens."""
    return paths.state_dir / SOCKET


def find_socket(paths: NodePaths) -> Path:
    """The socket of the prober that is there: the environment's, ours, or, beside the state directory, Cilium's."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named.removeprefix("unix://"))
    own, theirs = own_socket(paths), paths.state_dir.parent / SOCKET
    return theirs if theirs.exists() and not own.exists() else own


def reported(paths: NodePaths) -> Report | None:
    """The report of the node's own prober, or None where none runs."""
    path = own_socket(paths)
    try:
        return Client(path).status() if path.exists() else None
    except NoProber:
        return None


class Client:
    """A connection for each question. Every method raises NoProber if nobody answers."""

    def __init__(self, socket_path: Path) -> None:
        self.path = socket_path

    def status(self) -> Report:
        return Report.read(self._ask("GET", "/v1beta/status"))

    def probe(self, timeout: float) -> Report:
        """Have everything probed now, and wait so many seconds at most."""
        query = f"?timeout={duration.of_seconds(timeout)}"
        return Report.read(self._ask("PUT", f"/v1beta/status/probe{query}", timeout + PATIENCE))

    def healthz(self) -> dict[str, Any]:  # the document as it came
        found = self._ask("GET", "/v1beta/healthz")
        if not isinstance(found, dict):
            raise CiliumPyError(f"{self.path}: not the state of a prober")
        return found

    def history(self) -> list[Summary]:
        found = self._ask("GET", "/v1beta/history")
        try:
            if isinstance(found, list):
                return [Summary(**entry) for entry in found]
        except TypeError:
            pass
        raise CiliumPyError(f"{self.path}: not the history of a prober")

    def _ask(self, method: str, target: str, timeout: float = PATIENCE) -> Any:  # whatever json reads
        import http.client

        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        try:
            connection.sock = _connected(self.path, timeout)
            connection.request(method, target)
            answer = connection.getresponse()
            body = answer.read()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoProber(
                f"{self.path}: no prober is running", hint="cilium-py health run; or health status --probe, without one"
            ) from error
        except PermissionError as error:
            raise CiliumPyError(f"{self.path}: {error.strerror}", hint="run as root") from error
        except TimeoutError as error:
            raise NoProber(f"{self.path}: no answer within {timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoProber(f"{self.path}: {said(error)}") from error
        finally:
            connection.close()
        return _document(self.path, answer.status, body)


def _connected(path: Path, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    try:
        made.connect(str(path))
    except BaseException:
        made.close()
        raise
    return made


def _document(path: Path, status: int, body: bytes) -> Any:  # whatever json reads
    try:
        found = json.loads(body)
    except ValueError:
        found = body.decode(errors="replace").strip()
    if status != 200:
        raise CiliumPyError(f"{path}: HTTP status {status}: {found}")
    return found
