"""A packet through copies of the programs that endpoints run, over their live policy maps.

Connections, counters and events of a copy are its own, so nothing that runs notices: no connection is entered, no
packet sent, no drop reported.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.endpoint.model import Endpoint
from cilium_py.loader.pins import POLICY_MAP, policy_pin
from cilium_py.loader.template import OBJECT, prebuilt_object
from cilium_py.maps import metrics
from cilium_py.net.namespace import inside
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.schema.reasons import FIRST_DROP_REASON, reason

from .packet import Packet

DROPPED = 2
POLICY_REASONS = {133, 181, 189}
"""Policy denied, Policy denied by denylist, Authentication required."""
OWN_MAPS = (
    "cilium_calls", "cilium_call_policy", "cilium_egresscall_policy", "cilium_ct", "cilium_events", "cilium_ipv4_frag",
    "cilium_ipv6_frag", "cilium_lb_affinity", "cilium_lb4_affinity", "cilium_lb6_affinity", "cilium_metrics",
    "cilium_nodeport_neigh", "cilium_policystats", "cilium_ratelimit", "cilium_signals", "cilium_snat",
    "cilium_tail_call_buffer",
)  # fmt: skip
"""How the names of maps begin that the programs write; of these a copy has its own."""
OWN_ROOM = 1024
NOT_SHARED = ("cilium_calls", POLICY_MAP)
"""Maps that each of two endpoints has for itself."""

_SKB = struct.Struct("<2I I I 5I I I I 5I")


class Answer(NamedTuple):
    """What the programs did with a packet. The reason and direction of a drop are empty for one that passed."""

    allowed: bool
    reason: str
    direction: str
    by_policy: bool
    """Whether it was policy that dropped it."""
    verdict: int


def rehearse(
    paths: NodePaths,
    node: NodeConfig,
    packet: Packet,
    source: Endpoint | None,
    destination: Endpoint | None,
    peer: int,
) -> Answer:
    """Send the packet from an endpoint, or to one from an identity `peer` elsewhere."""
    ends = {end.id: end for end in (source, destination) if end is not None}
    with ExitStack() as stack:
        shared: dict[str, BpfMap] = {}
        copies = {number: stack.enter_context(_copy(paths, node, end, shared)) for number, end in ends.items()}
        for number, copy in copies.items():
            shared["cilium_call_policy"].update_fd(number.to_bytes(4, "little"), copy.programs["cil_lxc_policy"])
        stack.enter_context(inside(node.namespace))
        if source is not None:
            program = copies[source.id].programs["cil_from_container"]
            frame = packet.frame(source.pod_mac, source.interface_mac)
            context = _context(source.interface_index, 0)
        else:
            assert destination is not None
            program = copies[destination.id].programs["cil_lxc_policy"]
            frame = packet.frame(destination.interface_mac, destination.pod_mac)
            context = _context(destination.interface_index, peer)
        verdict = program.test_run(frame, context).retval
        dropped = next(_drops(shared["cilium_metrics"]), None)
        if dropped is None:
            return Answer(verdict != DROPPED, "", "", False, verdict)
        by_policy = dropped.reason in POLICY_REASONS
        return Answer(False, reason(dropped.reason), metrics.direction(dropped.dir), by_policy, verdict)


@contextmanager
def _copy(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, shared: dict[str, BpfMap]) -> Iterator[BpfObject]:
    """The endpoint's object loaded once more. Maps of the copies' own are put into `shared`, for the next copy."""
    with BpfObject.open(_object_of(paths, endpoint), pin_root=paths.globals) as opened:
        for name, value in {**node.settings(), **endpoint.switches(), **endpoint.settings()}.items():
            opened.rodata[name] = value
        for name, table in opened.maps.items():
            if name == POLICY_MAP:
                with BpfMap.open(policy_pin(paths, endpoint.id), read_only=False) as live:
                    table.reuse(live)
            elif name.startswith(OWN_MAPS):
                table.pin_path = None
                if name in shared:
                    table.reuse(shared[name])
                elif not name.startswith("cilium_call"):
                    table.max_entries = min(table.max_entries, OWN_ROOM)
        opened.load()
        for name, table in opened.maps.items():
            if name.startswith(OWN_MAPS) and not name.startswith(NOT_SHARED):
                shared.setdefault(name, table)
        yield opened


def _object_of(paths: NodePaths, endpoint: Endpoint) -> Path:
    """What the endpoint runs: the object compiled for its configuration, if it was, else the prebuilt one."""
    try:
        configuration = (paths.endpoint(endpoint.id) / "template.txt").read_text().strip()
    except FileNotFoundError:
        return prebuilt_object()
    compiled = paths.templates / configuration / OBJECT
    return compiled if compiled.exists() else prebuilt_object()


def _context(interface: int, source_identity: int) -> bytes:
    """struct __sk_buff up to cb: the interface, and in cb[0] the identity that a policy program is told."""
    return _SKB.pack(*[0] * 10, interface, 0, source_identity, 0, 0, 0, 0)


def _drops(table: BpfMap) -> Iterator[metrics.Key]:
    """What was counted as dropped."""
    keys = (metrics.Key.unpack(data) for data, _ in table.entries())
    return (key for key in keys if key.reason >= FIRST_DROP_REASON)
