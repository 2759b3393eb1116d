"""The node that the tests of the endpoint programs play on: who is there, and what they are allowed."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.prog.datapath import Datapath, Endpoint, Options, Outcome
from tests.prog.network import pair

HOST = 1
REMOTE_NODE = 6
WORLD4 = 9
WORLD6 = 10

UPLINK = 3
CILIUM_NET = 4
CILIUM_HOST = 5
HOST_MAC = bytes.fromhex("020000000501")
UPLINK_MAC = bytes.fromhex("020000000301")
NEXT_HOP_MAC = bytes.fromhex("020000000401")

GATEWAY = "10.1.0.1"
GATEWAY6 = "fd01::1"
NODE = "192.0.2.1"
WORLD = "198.51.100.7"
WORLD_6 = "2001:db8::7"
REMOTE = "10.2.0.30"
REMOTE_IDENTITY = 3030


class Pod(NamedTuple):
    """An endpoint with its addresses as text."""

    endpoint: Endpoint
    ip: str
    ip6: str

    @property
    def id(self) -> int:
        return self.endpoint.id

    @property
    def identity(self) -> int:
        return self.endpoint.identity

    @property
    def mac(self) -> bytes:
        return self.endpoint.pod_mac

    @property
    def router_mac(self) -> bytes:
        """The host side of its interface pair, which it takes for its router."""
        return self.endpoint.lxc_mac


def _pod(number: int) -> Pod:
    ip, ip6 = f"10.1.0.{number}", f"fd01::{number:x}"
    return Pod(
        Endpoint(
            id=number,
            ipv4=ipaddress.IPv4Address(ip).packed,
            ipv6=ipaddress.IPv6Address(ip6).packed,
            identity=1000 + number,
            ifindex=100 + number,
            lxc_mac=bytes([2, 0, 0, 1, 0, number]),
            pod_mac=bytes([2, 0, 0, 2, 0, number]),
        ),
        ip,
        ip6,
    )


CLIENT = _pod(10)
SERVER = _pod(20)
PODS = (CLIENT, SERVER)

NETWORK = [
    "ip link set lo up",
    *pair("eth0", UPLINK, "02:00:00:00:03:01", "eth0p", 30, "02:00:00:00:03:02"),
    *pair("cilium_net", CILIUM_NET, "02:00:00:00:04:01", "cilium_host", CILIUM_HOST, "02:00:00:00:05:01"),
    *(
        command
        for pod in PODS
        for command in pair(
            f"lxc{pod.id}",
            pod.endpoint.ifindex,
            pod.router_mac.hex(":"),
            f"pod{pod.id}",
            500 + pod.id,
            pod.mac.hex(":"),
        )
    ),
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
    f"ip addr add {NODE}/24 dev eth0",
    "ip -6 addr add 2001:db8:1::1/64 dev eth0 nodad",
    "ip neigh add 192.0.2.254 lladdr 02:00:00:00:04:01 dev eth0 nud permanent",
    "ip -6 neigh add 2001:db8:1::fe lladdr 02:00:00:00:04:01 dev eth0 nud permanent",
    "ip route add default via 192.0.2.254",
    "ip -6 route add default via 2001:db8:1::fe dev eth0",
]

OPTIONS: Options = {
    "enable_per_packet_lb": True,
    "cilium_net_ifindex": CILIUM_NET,
    "cilium_host_mac": HOST_MAC + b"\0\0",
    "router_ipv6": ipaddress.ip_address(GATEWAY6).packed,
    "service_loopback_ipv4": ipaddress.ip_address("169.254.42.1").packed,
}


class PolicyEntry(NamedTuple):
    """What an entry of the policy map says. Peer 0: anyone. Protocol 0: any. Bits: of the port that must match."""

    egress: bool
    peer: int = 0
    protocol: int = 0
    port: int = 0
    bits: int = 16
    deny: bool = False
    proxy_port: int = 0
    priority: int = 0
    auth: int = 0

    def packed(self) -> tuple[bytes, bytes]:
        length = 0 if not self.protocol else 8 + (self.bits if self.port else 0)
        key = struct.pack("<IIBB", 40 + length, self.peer, self.egress, self.protocol) + self.port.to_bytes(2, "big")
        flags = self.deny | length << 3
        return key, struct.pack(">HBBB3x", self.proxy_port, flags, self.auth | (self.auth > 0) << 7, self.priority)


def egress(peer: int = 0, protocol: int = 0, port: int = 0, **more: int) -> PolicyEntry:
    return PolicyEntry(True, peer, protocol, port, **more)  # type: ignore[arg-type]


def ingress(peer: int = 0, protocol: int = 0, port: int = 0, **more: int) -> PolicyEntry:
    return PolicyEntry(False, peer, protocol, port, **more)  # type: ignore[arg-type]


class Node:
    """The node in its initial state: the pods and addresses are known, nothing is allowed, no connection is open."""

    CLEARED = (
        "cilium_ct4_global", "cilium_ct_any4_global", "cilium_ct6_global", "cilium_ct_any6_global",
        "cilium_ipv4_frag_datagrams", "cilium_ipv6_frag_datagrams", "cilium_policystats", "cilium_metrics",
        "cilium_ratelimit", "cilium_lxc", "cilium_ipcache_v2", "cilium_auth_map",
        *(f"cilium_lb{family}_{kind}" for family in (4, 6) for kind in ("services_v2", "backends_v3", "reverse_nat")),
    )  # fmt: skip

    def __init__(self, datapath: Datapath) -> None:
        self.datapath = datapath
        datapath.clear(*self.CLEARED, *(f"cilium_policy_v2_{pod.id:05}" for pod in PODS))
        for pod in PODS:
            for address in (pod.ip, pod.ip6):
                self.know_endpoint(address, pod.endpoint)
                self.know_identity(address, pod.identity)
        for address in (GATEWAY, GATEWAY6, NODE):
            self.know_endpoint(address, None)
            self.know_identity(address, HOST)
        self.know_identity(REMOTE, REMOTE_IDENTITY)

    def know_endpoint(self, address: str, endpoint: Endpoint | None) -> None:
        """Write an address into the endpoint map; None: it is the host's own."""
        if endpoint is None:
            value = struct.pack("<IHHI36x", 0, 0, 0, 1)
        else:
            value = struct.pack("<IHHI4x8s8sI12x", endpoint.ifindex, 0, endpoint.id, 0, endpoint.pod_mac,
                                endpoint.lxc_mac, endpoint.identity)  # fmt: skip
        packed = ipaddress.ip_address(address).packed
        family = 1 if len(packed) == 4 else 2
        self.datapath.map("cilium_lxc").update(packed.ljust(16, b"\0") + bytes([family, 0, 0, 0]), value)

    def know_identity(self, address: str, identity: int) -> None:
        packed = ipaddress.ip_address(address).packed
        family = 1 if len(packed) == 4 else 2
        key = struct.pack("<IHBB", 32 + 8 * len(packed), 0, 0, family) + packed.ljust(16, b"\0")
        self.datapath.map("cilium_ipcache_v2").update(key, struct.pack("<I20x", identity))

    def allow(self, pod: Pod, *entries: PolicyEntry) -> None:
        """Put entries into a pod's policy map; they may also deny."""
        found = self.datapath.map(f"cilium_policy_v2_{pod.id:05}")
        for entry in entries:
            found.update(*entry.packed())

    def disallow(self, pod: Pod, entry: PolicyEntry) -> None:
        assert self.datapath.map(f"cilium_policy_v2_{pod.id:05}").delete(entry.packed()[0])

    def serve(self, vip: str, port: int, protocol: int, backends: Sequence[tuple[str, int]], index: int = 7) -> None:
        """Write a service and its backends as the control side does. Index: its number in connections."""
        address = ipaddress.ip_address(vip)
        services, found, reverse = (
            self.datapath.map(f"cilium_lb{address.version}_{kind}")
            for kind in ("services_v2", "backends_v3", "reverse_nat")
        )
        key = address.packed + port.to_bytes(2, "big")
        services.update(key + struct.pack("<HBBxx", 0, protocol, 0), struct.pack("<IHH4x", 0, len(backends), index))
        reverse.update(struct.pack("<H", index), key)
        for number, (ip, backend_port) in enumerate(backends, 1):
            packed = ipaddress.ip_address(ip).packed
            found.update(struct.pack("<I", number), packed + struct.pack(">HBB4x", backend_port, protocol, 0))
            services.update(key + struct.pack("<HBBxx", number, protocol, 0), struct.pack("<IHH4x", number, 0, index))

    def send(self, pod: Pod, frame: bytes) -> Outcome:
        """A pod sends a frame."""
        index = pod.endpoint.ifindex
        return self.datapath.run(pod.id, "from_container", frame, ifindex=index, ingress_ifindex=index)

    def arrive(self, pod: Pod, frame: bytes, source: int, from_host: bool = False) -> Outcome:
        """Another program brings a frame to the pod's policy program, with the identity of its sender."""
        cb = (source, 1, 0, int(from_host), 0)
        return self.datapath.run(pod.id, "policy", frame, ifindex=UPLINK, ingress_ifindex=UPLINK, cb=cb)

    def deliver(self, pod: Pod, frame: bytes, mark: int = 0) -> Outcome:
        """The host's stack sends a frame to the pod's interface."""
        return self.datapath.run(pod.id, "to_container", frame, ifindex=pod.endpoint.ifindex, mark=mark)

    def entries(self, *names: str) -> Iterable[tuple[bytes, bytes]]:
        for name in names:
            yield from self.datapath.map(name).entries()

    def metrics(self) -> dict[tuple[int, int], int]:
        """Packets by reason and direction."""
        found = self.datapath.map("cilium_metrics")
        counted: dict[tuple[int, int], int] = {}
        for key, value in found.entries():
            packets = sum(int.from_bytes(slot[:8], "little") for slot in found.split(value))
            counted[key[0], key[1] & 3] = counted.get((key[0], key[1] & 3), 0) + packets
        return counted
