"""Large tables as a busy node has them, pinned in a bpf file system of their own."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.net import libc

PORTION = 4096


class Filled(NamedTuple):
    """A map to be: its pin, shape, and entries by number."""

    pin: str
    type: MapType
    key: struct.Struct
    value: struct.Struct
    count: int
    entry: str
    """The name of a function below: (number, random) -> fields of the key, fields of the value."""


@contextmanager
def private_bpffs() -> Iterator[Path]:
    """A bpf file system that only this process and its children see."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", Path("/"), flags=libc.MS_REC | libc.MS_PRIVATE)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "bpf"
        mount_bpffs(root)
        try:
            (root / "tc/globals").mkdir(parents=True)
            yield root
        finally:
            libc.unmount(root)


def fill(root: Path, plan: Filled) -> None:
    """Make the map, fill it and leave it pinned."""
    dice = random.Random(plan.pin)
    entry = globals()[plan.entry]
    with BpfMap.create(
        name=plan.pin,
        type=plan.type,
        key_size=plan.key.size,
        value_size=plan.value.size,
        max_entries=plan.count,
        flags=BPF_F_NO_PREALLOC if plan.type is MapType.LPM_TRIE else 0,
    ) as made:
        for start in range(0, plan.count, PORTION):
            numbers = range(start, min(start + PORTION, plan.count))
            entries = [entry(number, dice) for number in numbers]
            keys = b"".join(plan.key.pack(*key) for key, _ in entries)
            cpus = made.value_room // plan.value.size if made.per_cpu else 1
            made.update_batch(keys, b"".join(plan.value.pack(*value) * cpus for _, value in entries))
        made.pin(root / "tc/globals" / plan.pin)


def address(network: int, number: int) -> bytes:
    return struct.pack(">I", network + number)


def port(number: int) -> bytes:
    return struct.pack(">H", number)


def address_6(number: int) -> bytes:
    return bytes.fromhex("fd00001002000000") + struct.pack(">Q", number * 0x1_0001)


def conntrack(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Connections of some thousand pods, each from a port of its own."""
    pod, sport = dice.randrange(5000), 1024 + number % 60000
    key = address(0x0A000000, pod), address(0xAC100000, number // 60000), 443, sport, 6, dice.choice((0, 1))
    return key, connection(dice, pod)


def conntrack_6(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    pod, sport = dice.randrange(5000), 1024 + number % 60000
    key = address_6(pod), address_6(1 << 20 | number // 60000), 443, sport, 6, dice.choice((0, 1))
    return key, connection(dice, pod)


def connection(dice: random.Random, pod: int) -> tuple[object, ...]:
    """The entry of a connection of a pod, whose identity some others share."""
    packets, now = dice.randrange(2000), 1_000_000 + dice.randrange(20_000)
    return (
        *(0, 0, packets, packets * dice.randrange(64, 1500), now + 21_600, dice.choice((0x10, 0x13)), 0, 0),
        *(0x1B, 0x1B, 10_000 + pod % 3000, now, now),
    )


def nat(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    destination = address(0x0A000000, dice.randrange(60_000)), 1024 + number % 60000
    key = address(0xC0A80000, number // 60000), destination[0], 443, destination[1], 6, number & 1
    return key, (1_000_000 + dice.randrange(20_000), 1, 0, 0, address(0xC0A80101, 0), port(32768 + number % 28000))


def ipcache(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    host = address(0x0A000000, number)
    return (64, 0, 1, host), (256 + dice.randrange(60_000), address(0xC0A80000, number // 250), 0, 2)


def policy(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    identity, ports = 256 + number // 4, (80, 443, 8080, 9090)
    return (64, identity, number & 1, 6, port(ports[number % 4])), (0, dice.choice((0xC0, 0xC1)), 0)


def policy_counted(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """What policy has, of endpoint 42."""
    (_, identity, egress, protocol, dport), _ = policy(number, dice)
    return (42, 24, identity, egress, protocol, dport), (dice.randrange(1 << 16), dice.randrange(1 << 26))


def metric(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    reason, line = 130 + number % 60, number // 60
    return (reason, 1 + line % 2, line, 1 + line % 14), (dice.randrange(1 << 20), dice.randrange(1 << 30))


def frontend(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    return (port(number + 1),), (address(0x0A600000, number), port(dice.choice((80, 443))))


def source_range(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Some networks of each service."""
    network = 0xC0000000 + (number << 8)
    return (32 + dice.randrange(24, 33), port(1 + number % 10_000), address(network, 0)), (0,)


def backend(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    return (number + 1,), (address(0x0A000000, number), port(1024 + dice.randrange(60_000)), 6, 0, 0, 0)


def service(number: int, dice: random.Random) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Slot 0 and ten backends of each."""
    of, slot = divmod(number, 11)
    key = address(0x0A600000, of), port(443), slot, 6, 0
    settings = (0, 10) if slot == 0 else (1 + dice.randrange(100_000), 0)
    return key, (*settings, 1 + of % 65_000, 0x40, 0, 0)


CT_VALUE = struct.Struct("<QQQQIHHHBBIII")
TABLES = {
    "ct": Filled("cilium_ct4_global", MapType.LRU_HASH, struct.Struct(">4s4sHHBB"), CT_VALUE, 1_000_000, "conntrack"),
    "ct, IPv6": Filled(
        "cilium_ct6_global", MapType.LRU_HASH, struct.Struct(">16s16sHHBB"), CT_VALUE, 500_000, "conntrack_6"
    ),
    "nat": Filled(
        "cilium_snat_v4_external", MapType.LRU_HASH, struct.Struct(">4s4sHHBB"), struct.Struct("<QQQQ4s2sxx"),
        1_000_000, "nat",
    ),
    "ipcache": Filled(
        "cilium_ipcache_v2", MapType.LPM_TRIE, struct.Struct("<IHxB4s12x"), struct.Struct("<I4s12xxxBB"), 500_000,
        "ipcache",
    ),
    "policy": Filled(
        "cilium_policy_v2_00042", MapType.LPM_TRIE, struct.Struct("<IIBB2s"), struct.Struct(">HBB4x"), 65_536, "policy"
    ),
    "lb backends": Filled(
        "cilium_lb4_backends_v3", MapType.HASH, struct.Struct("<I"), struct.Struct("<4s2sBBHBx"), 100_000, "backend"
    ),
    "lb services": Filled(
        "cilium_lb4_services_v2", MapType.HASH, struct.Struct("<4s2sHBBxx"), struct.Struct("<IHHBBH"), 110_000,
        "service",
    ),
    "lb revnat": Filled(
        "cilium_lb4_reverse_nat", MapType.HASH, struct.Struct("2s"), struct.Struct("4s2s"), 10_000, "frontend"
    ),
    "lb source ranges": Filled(
        "cilium_lb4_source_range", MapType.LPM_TRIE, struct.Struct("<I2sxx4s"), struct.Struct("B"), 50_000,
        "source_range",
    ),
    "policy statistics": Filled(
        "cilium_policystats", MapType.LRU_PERCPU_HASH, struct.Struct("<HxBIBB2s"), struct.Struct("<QQ"), 65_536,
        "policy_counted",
    ),
    "metrics": Filled(
        "cilium_metrics", MapType.PERCPU_HASH, struct.Struct("<BBHBxxx"), struct.Struct("<QQ"), 65_536, "metric"
    ),
}  # fmt: skip
