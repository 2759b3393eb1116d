"""Connections as conntrack has them, and the maps that they are in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from cilium_py.bpf.map import BpfMap
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.maps import ct
from cilium_py.schema.text import parse_ip

CT = "cilium_ct4_global"
CLIENT, OTHER, SERVER = map(parse_ip, ("10.0.0.1", "10.0.0.2", "10.0.1.7"))
TCP, UDP = 6, 17
SEEN = 0x10


class Flow(NamedTuple):
    """A connection as the map has it, turned round: daddr is the end that opened it."""

    source: bytes
    dport: int
    protocol: int = TCP
    sport: int = 40000
    size: int = 100
    flags: int = SEEN
    identity: int = 256
    left: int = 60
    idle: int = 0

    def key(self) -> bytes:
        return ct.Key4(
            daddr=self.source, saddr=SERVER, dport=self.dport, sport=self.sport, nexthdr=self.protocol, flags=0
        ).pack()

    def value(self) -> bytes:
        now = int(time.monotonic())
        return ct.Entry(
            packets=1, bytes=self.size, lifetime=now + self.left, flags=self.flags, src_sec_id=self.identity,
            last_tx_report=now - self.idle,
        ).pack()  # fmt: skip


FLOWS = (
    Flow(CLIENT, 443, size=5000),
    Flow(CLIENT, 80, size=70, flags=SEEN | 3, left=5),
    Flow(CLIENT, 53, UDP, size=60, flags=0, idle=500),
    Flow(OTHER, 443, size=900, identity=2, idle=500),
    Flow(OTHER, 8443, size=10, flags=0),
)


def make(pins: Path, name: str, key_size: int, value_size: int, type: MapType = MapType.HASH) -> BpfMap:
    flags = BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0
    made = BpfMap.create(
        name=name, type=type, key_size=key_size, value_size=value_size, max_entries=10_000, flags=flags
    )
    made.pin(pins / name)
    return made
