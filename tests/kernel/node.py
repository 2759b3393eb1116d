"""A small node of real maps, and what is known of it."""

from __future__ import annotations

from pathlib import Path

from cilium_py.bpf.map import BpfMap
from cilium_py.explain.flows import Flow, flows
from cilium_py.explain.known import Known
from cilium_py.explain.page import Page, page, parse_end
from cilium_py.explain.present import Present
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.maps import ct, endpoint, ipcache, lb_backends, lb_services, nat
from cilium_py.maps.ct import TUPLE_SERVICE
from cilium_py.node.runtime import Clock
from cilium_py.paths import NodePaths
from cilium_py.schema import Struct
from cilium_py.schema.text import parse_ip
from cilium_py.select.tree import EVERYTHING, Node
from cilium_py.table import Family

CLIENT, SERVER, VIP, NODE, WORLD = map(parse_ip, ("10.0.0.1", "10.0.0.2", "10.96.0.1", "192.0.2.1", "198.51.100.7"))
NOW = Present(Clock(), 1000, 1_000_000_000.0)
SERVICE_ID, BACKEND_ID = 7, 5
Entries = list[tuple[Struct, Struct]]


def pin(directory: Path, name: str, entries: Entries, type: MapType = MapType.HASH) -> None:
    """A pinned map of these entries."""
    key, value = entries[0]
    flags = BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0
    with BpfMap.create(
        name=name, type=type, key_size=key.size, value_size=value.size, max_entries=64, flags=flags
    ) as made:
        for each, held in entries:
            made.update(each.pack(), held.pack())
        made.pin(directory / name)


def tuple_of(source: bytes, sport: int, to: bytes, dport: int, flags: int, protocol: int = 6) -> ct.Key4:
    """The key of a connection as conntrack stores it."""
    if flags & TUPLE_SERVICE:
        return ct.Key4(saddr=source, dport=sport, daddr=to, sport=dport, nexthdr=protocol, flags=flags)
    return ct.Key4(daddr=source, sport=sport, saddr=to, dport=dport, nexthdr=protocol, flags=flags)


def tracked(**fields: int) -> ct.Entry:
    return ct.Entry(**{"lifetime": 1060, "packets": 3, "bytes": 180, **fields})


def mapped(
    source: bytes, sport: int, to: bytes, dport: int, flags: int, into: bytes, port: int
) -> tuple[Struct, Struct]:
    key = nat.Key4(saddr=source, sport=sport, daddr=to, dport=dport, nexthdr=6, flags=flags)
    return key, nat.Entry4(created=900, needs_ct=1, to_saddr=into, to_sport=port)


def small_node(bpffs: Path) -> Path:
    """The pins of a node with a client (endpoint 1), a server (endpoint 2) and a service in front of it."""
    directory = bpffs / "tc/globals"
    directory.mkdir(parents=True)
    pin(directory, "cilium_lxc", [
        (endpoint.Key(ip=CLIENT.ljust(16, b"\0"), family=1), endpoint.Value(lxc_id=1, sec_id=256, ifindex=11)),
        (endpoint.Key(ip=SERVER.ljust(16, b"\0"), family=1), endpoint.Value(lxc_id=2, sec_id=257, ifindex=12)),
        (endpoint.Key(ip=NODE.ljust(16, b"\0"), family=1), endpoint.Value(flags=1)),
    ])  # fmt: skip
    pin(directory, "cilium_ipcache_v2", [
        (ipcache.Key(**ipcache.key_fields((address, length))), ipcache.Value(sec_identity=identity))
        for address, length, identity in (
            (CLIENT, 32, 256), (SERVER, 32, 257), (NODE, 32, 1), (bytes(4), 0, 2),
        )
    ], MapType.LPM_TRIE)  # fmt: skip
    pin(directory, "cilium_lb4_services_v2", [
        (lb_services.Key4(address=VIP, dport=80, backend_slot=0, proto=6),
         lb_services.Service(count=2, rev_nat_index=SERVICE_ID)),
        (lb_services.Key4(address=VIP, dport=80, backend_slot=1, proto=6),
         lb_services.Service(backend_id=BACKEND_ID, rev_nat_index=SERVICE_ID)),
        (lb_services.Key4(address=VIP, dport=80, backend_slot=2, proto=6),
         lb_services.Service(backend_id=99, rev_nat_index=SERVICE_ID)),
    ])  # fmt: skip
    pin(directory, "cilium_lb4_backends_v3", [
        (lb_backends.Key(value=BACKEND_ID), lb_backends.Backend4(address=SERVER, port=8080, proto=6)),
    ])  # fmt: skip
    with BpfMap.create(name="revnat", type=MapType.HASH, key_size=2, value_size=6, max_entries=8) as revnat:
        revnat.update(SERVICE_ID.to_bytes(2, "big"), VIP + (80).to_bytes(2, "big"))
        revnat.pin(directory / "cilium_lb4_reverse_nat")
    return directory


def all_flows(pins: Path, where: Node = EVERYTHING) -> list[Flow]:
    with Known(pins, NodePaths(state_dir=pins / "state")) as known:
        return list(flows(known, NOW, Family(ct.MAP, pins).tables(), where))


def explained(pins: Path, source: str, destination: str, protocol: int | None = None) -> Page:
    with Known(pins, NodePaths(state_dir=pins / "state")) as known:
        return page(known, NOW, parse_end(source, known), parse_end(destination, known), protocol)
