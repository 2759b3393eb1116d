"""ICMP echoes of all probes of a family through one socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import Self

from cilium_py.net.checksum import checksum

SO_TIMESTAMPNS = 35
SOL_RAW, ICMP_FILTER, ICMP6_FILTER = 255, 1, 1
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
IPV6_MTU_DISCOVER, IPV6_DONTFRAG, IPV6_MTU = 23, 62, 24

RECEIVE_BUFFER = 4 << 20
"""Room for the answers to thousands of echoes at once."""
MOST_PACKETS = 64
"""Read in one turn of the loop, so that others get theirs."""
GAP, DEADLINE, COUNT = 0.1, 10.0, 3
PAYLOAD = 56
LARGE_DEADLINE, LARGE_COUNT, LARGE_TRIES = 1.0, 2, 3

_HEADER = struct.Struct("!BBHHH")
_TIMESPEC = struct.Struct("qq")


@dataclass(frozen=True)
class Family:
    """What differs between IPv4 and IPv6."""

    inet: int
    protocol: int
    request: int
    reply: int
    ip_header: int
    mtu: tuple[int, int]
    """Socket level and option that tell the MTU of a connected socket's path."""


FAMILIES = {
    4: Family(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0, 20, (socket.IPPROTO_IP, IP_MTU)),
    6: Family(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129, 40, (socket.IPPROTO_IPV6, IPV6_MTU)),
}


@dataclass(slots=True)
class _Waiting:
    address: str
    future: asyncio.Future[int]
    sent: int
    """Wall clock in nanoseconds, to be held against the kernel's time stamp of the answer."""
    started: int


class Echo:
    """Sends echo requests that may not be fragmented, and takes round-trip times by the kernel's receive stamps.

    A raw socket where that is permitted, else the datagram kind that `ping_group_range` permits.
    """

    def __init__(self, version: int) -> None:
        self.family = FAMILIES[version]
        self.socket, self.is_raw = _open(self.family)
        self.identifier = int.from_bytes(os.urandom(2), "big")
        self._cookie = os.urandom(8)
        self._sequence = 0
        self._waiting: dict[int, _Waiting] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._readable)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self._loop.remove_reader(self.socket)
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def ping(
        self, address: str, count: int = COUNT, gap: float = GAP, deadline: float = DEADLINE, payload: int = PAYLOAD
    ) -> int:
        """Send up to so many echoes, one each gap, until one is answered; return its round-trip time in nanoseconds.

        Raises TimeoutError, or the OSError of the last echo if none could even be sent.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        end = self._loop.time() + deadline
        used: list[int] = []
        refusal: OSError | None = None
        try:
            for number in range(count):
                try:
                    used.append(self._send(address, future, payload))
                except OSError as error:
                    if error.errno == errno.EMSGSIZE:
                        raise
                    refusal = error
                left = end - self._loop.time()
                last = number == count - 1
                if last and not used:
                    break
                await asyncio.wait([future], timeout=max(0.0, left if last else min(gap, left)))
                if future.done():
                    return future.result()
            if not used and refusal is not None:
                raise refusal
            raise TimeoutError("Connection timed out")
        finally:
            for sequence in used:
                self._waiting.pop(sequence, None)

    async def ping_large(self, address: str, limit: int, deadline: float = LARGE_DEADLINE) -> tuple[int, int]:
        """Echo a packet as large as the path is said to carry; return its size and round-trip time in nanoseconds.

        A size that the kernel learns meanwhile to be too large is no failure. Raises LargeLost, or OSError.
        """
        size = limit
        for _ in range(LARGE_TRIES):
            size = min(limit, self.path_mtu(address))
            try:
                payload = size - self.family.ip_header - _HEADER.size
                return size, await self.ping(address, LARGE_COUNT, GAP, min(deadline, LARGE_DEADLINE), payload)
            except TimeoutError as error:
                if self.path_mtu(address) >= size:
                    raise LargeLost(size) from error
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
        raise LargeLost(size)

    def path_mtu(self, address: str) -> int:
        """What the kernel believes that the way to the address carries."""
        with socket.socket(self.family.inet, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return probe.getsockopt(*self.family.mtu)

    def _send(self, address: str, future: asyncio.Future[int], payload: int) -> int:
        if len(self._waiting) > 0x8000:
            raise OSError(errno.EAGAIN, "too many echoes are under way")
        while True:
            self._sequence = self._sequence + 1 & 0xFFFF
            if self._sequence not in self._waiting:
                break
        body = self._cookie.ljust(payload, b"\xa5")
        header = _HEADER.pack(self.family.request, 0, 0, self.identifier, self._sequence)
        if self.is_raw and self.family.protocol == socket.IPPROTO_ICMP:
            sum16 = checksum(header + body)
            header = _HEADER.pack(self.family.request, 0, sum16, self.identifier, self._sequence)
        self._waiting[self._sequence] = _Waiting(address, future, time.time_ns(), time.monotonic_ns())
        try:
            self.socket.sendto(header + body, (address, 0))
        except OSError:
            del self._waiting[self._sequence]
            raise
        return self._sequence

    def _readable(self) -> None:
        for _ in range(MOST_PACKETS):
            try:
                packet, extras, _, source = self.socket.recvmsg(2048, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError:
                # What an ICMP error of some destination left behind; that echo ends at its deadline.
                continue
            self._take(packet, extras, source[0])

    def _take(self, packet: bytes, extras: list[tuple[int, int, bytes]], source: str) -> None:
        now = time.monotonic_ns()
        if self.is_raw and self.family.protocol == socket.IPPROTO_ICMP:
            packet = packet[(packet[0] & 0x0F) * 4 :]
        if len(packet) < _HEADER.size + len(self._cookie):
            return
        kind, _, _, identifier, sequence = _HEADER.unpack_from(packet)
        waiting = self._waiting.get(sequence)
        if (
            waiting is None
            or kind != self.family.reply
            or (self.is_raw and identifier != self.identifier)
            or packet[_HEADER.size :][: len(self._cookie)] != self._cookie
            or source != waiting.address
            or waiting.future.done()
        ):
            return
        elapsed = now - waiting.started
        stamped = _stamp(extras) - waiting.sent
        waiting.future.set_result(stamped if 0 < stamped <= elapsed else elapsed)


class LargeLost(OSError):
    """Packets of this size vanish although the path is said to carry them."""

    def __init__(self, size: int) -> None:
        super().__init__(f"no answer to {size} bytes, the MTU that the path is said to have")
        self.size = size


def _open(family: Family) -> tuple[socket.socket, bool]:
    try:
        made, is_raw = socket.socket(family.inet, socket.SOCK_RAW, family.protocol), True
    except PermissionError:
        made, is_raw = socket.socket(family.inet, socket.SOCK_DGRAM, family.protocol), False
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    if family.inet == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        if is_raw:
            made.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("I", 0xFFFFFFFF ^ 1 << family.reply))
    else:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_DONTFRAG, 1)
        if is_raw:
            blocked = bytearray(b"\xff" * 32)
            word = struct.unpack_from("I", blocked, family.reply // 32 * 4)[0] ^ 1 << family.reply % 32
            struct.pack_into("I", blocked, family.reply // 32 * 4, word)
            made.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, bytes(blocked))
    return made, is_raw


def _stamp(extras: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in extras:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            stamp: int = seconds * 10**9 + nanoseconds
            return stamp
    return 0
