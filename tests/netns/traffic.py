"""Senders and receivers in pods. A socket stays in the namespace it was made in, so no process is needed there."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field

from cilium_py.lab import Lab, command

SECONDS = 2.0
"""How long to wait for what should come."""
BRIEF = 0.25
"""How long to wait for what should not come."""

PATTERN = bytes(i * 7 & 0xFF for i in range(251))
"""So long that no power of two divides it: a segment out of place is seen."""

INET, INET6 = socket.AF_INET, socket.AF_INET6


def address(lab: Lab, where: str, family: int) -> str:
    """An address of a pod, or of `world`."""
    from cilium_py.lab.network import WORLD4, WORLD6

    if where == "world":
        return str(WORLD4 if family == INET else WORLD6)
    pod = lab.pod(where)
    return pod.ipv4 if family == INET else pod.ipv6


def socket_in(lab: Lab, where: str, family: int, kind: int, patience: float = SECONDS) -> socket.socket:
    with command.namespace(lab, where).entered():
        made = socket.socket(family, kind)
    made.settimeout(patience)
    return made


def listener(lab: Lab, where: str, family: int, kind: int, port: int = 0, patience: float = SECONDS) -> socket.socket:
    made = socket_in(lab, where, family, kind, patience)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address(lab, where, family), port))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def tcp(
    lab: Lab,
    sender: str,
    receiver: str,
    family: int = INET,
    port: int = 0,
    size: int = 200_000,
    patience: float = SECONDS,
) -> bool:
    """Whether a connection can be made and carries bytes both ways."""
    with (
        listener(lab, receiver, family, socket.SOCK_STREAM, port) as server,
        socket_in(lab, sender, family, socket.SOCK_STREAM, patience) as client,
    ):
        try:
            client.connect(server.getsockname()[:2])
        except TimeoutError:
            return False
        peer, _ = server.accept()
        with peer:
            peer.settimeout(SECONDS)
            return _carries(client, peer, size) and _carries(peer, client, size)


def _carries(source: socket.socket, sink: socket.socket, size: int) -> bool:
    sent = (PATTERN * (size // len(PATTERN) + 1))[:size]
    writer = threading.Thread(target=source.sendall, args=(sent,))
    writer.start()
    got = bytearray()
    while len(got) < size:
        got += sink.recv(1 << 16)
    writer.join()
    return bytes(got) == sent


def udp(
    lab: Lab,
    sender: str,
    receiver: str,
    family: int = INET,
    port: int = 0,
    size: int = 100,
    patience: float = SECONDS,
) -> bool:
    """Whether a datagram arrives and its answer comes back."""
    with (
        listener(lab, receiver, family, socket.SOCK_DGRAM, port, patience) as server,
        socket_in(lab, sender, family, socket.SOCK_DGRAM, patience) as client,
    ):
        sent = bytes(i & 0xFF for i in range(size))
        client.connect(server.getsockname()[:2])
        client.send(sent)
        try:
            got, peer = server.recvfrom(1 << 16)
            server.sendto(got, peer)
            return got == sent and client.recv(1 << 16) == sent
        except TimeoutError:
            return False


def ping(
    lab: Lab,
    sender: str,
    receiver: str,
    family: int = INET,
    size: int = 56,
    count: int = 2,
    patience: float = SECONDS,
) -> bool:
    """Whether every echo request is answered."""
    version = "-4" if family == INET else "-6"
    words = ["ping", version, "-n", f"-c{count}", "-i0.02", f"-W{patience}", f"-s{size}", receiver]
    return command.run(lab, sender, words, timeout=30).returncode == 0


@dataclass
class Stream:
    """Datagrams with numbers, sent one after the other and echoed, until it is stopped."""

    lab: Lab
    sender: str
    receiver: str
    interval: float = 0.0005
    sent: int = 0
    echoed: set[int] = field(default_factory=set)

    def __enter__(self) -> Stream:
        self._server = listener(self.lab, self.receiver, INET, socket.SOCK_DGRAM)
        self._client = socket_in(self.lab, self.sender, INET, socket.SOCK_DGRAM)
        self._client.connect(self._server.getsockname()[:2])
        for end in (self._server, self._client):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            end.settimeout(BRIEF)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._echo, self._collect, self._send)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    @property
    def lost(self) -> list[int]:
        """Numbers that were sent and never came back. Ask after the end."""
        return sorted(set(range(self.sent)) - self.echoed)

    def _send(self) -> None:
        while not self._stop.is_set():
            self._client.send(self.sent.to_bytes(4, "big"))
            self.sent += 1
            time.sleep(self.interval)

    def _echo(self) -> None:
        while True:
            try:
                data, peer = self._server.recvfrom(16)
            except TimeoutError:
                if self._stop.is_set():
                    return
                continue
            self._server.sendto(data, peer)

    def _collect(self) -> None:
        while True:
            try:
                self.echoed.add(int.from_bytes(self._client.recv(16), "big"))
            except TimeoutError:
                if self._stop.is_set():
                    return
