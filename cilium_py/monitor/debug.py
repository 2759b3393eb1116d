"""Debug messages and captures of the programs, in the sentences of Cilium's monitor."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Address
from socket import ntohl, ntohs

from cilium_py.monitor.events import Capture, Debug
from cilium_py.monitor.names import reason

InterfaceName = Callable[[int], str]

_CT_STATES = ("New", "Established", "Reply", "Related")


def _ip4(number: int) -> str:
    return str(IPv4Address(ntohl(number)))


def _ip6(number: int) -> str:
    """The last four bytes of an IPv6 address, all that such a message has of it."""
    host = ntohl(number)
    return f"{host >> 16:x}:{host & 0xFFFF:x}"


def _port(number: int) -> int:
    return ntohs(number & 0xFFFF)


def _flags(flags: int) -> str:
    return ", ".join(name for bit, name in ((1, "OUT"), (2, "RELATED")) if flags & bit)


def _ct_info(m: Debug) -> str:
    return f"sport={m.arg1 >> 16} dport={m.arg1 & 0xFFFF} nexthdr={m.arg2 >> 8} flags={_flags(m.arg2 & 0xFF)}"


def _tuple4(m: Debug) -> str:
    return f"src={_ip4(m.arg1)}:{m.arg3 & 0xFFFF} dst={_ip4(m.arg2)}:{m.arg3 >> 16}"


def _tuple6(m: Debug) -> str:
    return f"src=[::{_ip6(m.arg1)}]:{m.arg3 & 0xFFFF} dst=[::{_ip6(m.arg2)}]:{m.arg3 >> 16}"


def _tuple_rest(m: Debug) -> str:
    return f"Conntrack lookup 2/2: nexthdr={m.arg1 >> 8} flags={m.arg1 & 0xFF}"


def _created(m: Debug) -> str:
    return f"Conntrack create: proxy-port={m.arg1 >> 16} revnat={_port(m.arg1)} src-identity={m.arg2}"


def _proxied(m: Debug) -> str:
    return f"sport={_port(m.arg1 >> 16)} dport={_port(m.arg1)} saddr={_ip4(m.arg2)} nexthdr={m.arg3}"


def _verdict(m: Debug) -> str:
    state = _CT_STATES[m.arg1] if m.arg1 < len(_CT_STATES) else reason(m.arg1 & 0xFF)
    return f"CT verdict: {state}, revnat={_port(m.arg2)}"


def _slot(m: Debug) -> str:
    return f"slot={m.arg1}, dport={_port(m.arg2)}"


def _failure(code: int) -> str:
    """An errno, of either sign."""
    number = code if code < 1 << 31 else (1 << 32) - code
    return os.strerror(number) if number else "Success"


def _direction(number: int) -> str:
    return {0: "egress", 1: "ingress"}.get(number, "")


_FAILED_SLOT = "Service backend slot lookup failed: "

# By enum number of bpf/lib/dbg.h.
_SENTENCES: dict[int, Callable[[Debug], str]] = {
    1: lambda m: f"No message, arg1={m.arg1} ({m.arg1:#x}) arg2={m.arg2} ({m.arg2:#x})",
    2: lambda m: f"Attempting local delivery for container id {m.arg1} from seclabel {m.arg2}",
    3: lambda m: f"Encapsulating to node {m.arg1} ({m.arg1:#x}) from seclabel {m.arg2}",
    5: lambda m: f"Policy evaluation would deny packet from {m.arg1} to {m.arg2}",
    6: lambda m: f"CT lookup: {_ct_info(m)}",
    7: lambda m: f"CT reverse lookup: {_ct_info(m)}",
    8: lambda m: f"CT entry found lifetime={m.arg1}, revnat={_port(m.arg2)}",
    9: lambda m: f"CT created 1/2: {_ct_info(m)} revnat={_port(m.arg3)}",
    10: lambda m: f"CT created 2/2: {_ip4(m.arg1)} revnat={_port(m.arg2)}",
    11: lambda m: f"Handling ICMPv6 type={m.arg1}",
    12: lambda m: f"ICMPv6 echo request for router offset={m.arg1}",
    13: lambda m: f"ICMPv6 neighbour soliciation for address {m.arg1:x}:{m.arg2:x}",
    14: lambda _: "Sending ICMPv6 time exceeded",
    15: _verdict,
    16: lambda m: f"Tunnel decap: id={m.arg1} flowlabel={m.arg2:x}",
    17: lambda m: f"Mapping port from={m.arg1} to={m.arg2}",
    18: lambda m: f"BPF function {m.arg1} returned error {m.arg2}",
    19: lambda m: f"Going to host, policy-skip={m.arg1}",
    20: lambda m: f"Going to the stack, policy-skip={m.arg1}",
    21: lambda m: f"Packet hash={m.arg1} ({m.arg1:#x}), selected_service={m.arg2}",
    22: lambda m: f"Frontend service lookup, addr.p4={m.arg1:x} key.dport={_port(m.arg2)}",
    23: lambda m: f"Frontend service lookup failed, addr.p2={m.arg1:x} addr.p3={m.arg2:x}",
    24: lambda m: f"Service backend slot lookup: {_slot(m)}",
    25: lambda m: f"Service backend slot lookup result: target.p4={m.arg1:x} port={_port(m.arg2)}",
    26: lambda m: f"{_FAILED_SLOT}{_slot(m)}",
    27: lambda m: f"Backend service lookup failed: backend_id={m.arg1}",
    28: lambda m: f"Reverse NAT lookup, index={_port(m.arg1)}",
    29: lambda m: f"Performing reverse NAT, address.p4={m.arg1:x} port={_port(m.arg2)}",
    30: lambda m: f"Frontend service lookup, addr={_ip4(m.arg1)} key.dport={_port(m.arg2)}",
    31: lambda _: "Frontend service lookup failed",
    32: lambda m: f"Service backend slot lookup: {_slot(m)}",
    33: lambda m: f"Service backend slot lookup result: target={_ip4(m.arg1)} port={_port(m.arg2)}",
    34: lambda m: f"{_FAILED_SLOT}{_slot(m)}",
    35: lambda m: f"Backend service lookup failed: backend_id={m.arg1}",
    36: lambda m: f"Reverse NAT lookup, index={_port(m.arg1)}",
    37: lambda m: f"Performing reverse NAT, address={_ip4(m.arg1)} port={_port(m.arg2)}",
    38: lambda m: f"Loopback SNAT from={_ip4(m.arg1)} to={_ip4(m.arg2)}",
    39: lambda m: f"Loopback reverse SNAT from={_ip4(m.arg1)} to={_ip4(m.arg2)}",
    40: lambda m: f"CT lookup address: {_ip4(m.arg1)}",
    41: lambda m: f"RR backend slot selection hash={m.arg1} ({m.arg1:#x}), selected_service={m.arg2}",
    42: lambda m: f"Reverse proxy lookup {_proxied(m)}",
    43: lambda m: f"Reverse proxy entry found, orig-daddr={_ip4(m.arg1)} orig-dport={m.arg2}",
    44: lambda m: f"Reverse proxy updated {_proxied(m)}",
    45: lambda m: f"Resolved L4 policy to: {_port(m.arg1)} / {_direction(m.arg2)}",
    46: lambda m: f"Destination is inside cluster prefix, source identity: {m.arg1}",
    47: lambda m: f"Attempting encapsulation, lookup key: {_ip4(m.arg1)}, identity: {m.arg2}",
    48: lambda m: f"Conntrack lookup 1/2: {_tuple4(m)}",
    49: _tuple_rest,
    50: lambda m: f"{_created(m)} lb={_ip4(m.arg3)}",
    51: lambda m: f"Conntrack lookup 1/2: {_tuple6(m)}",
    52: _tuple_rest,
    53: _created,
    54: lambda m: f"Skipping proxy, tc_index is set={m.arg1:x}",
    55: lambda m: (
        f"Matched L4 policy; creating conntrack src={m.arg1} dst={m.arg2} dport={_port(m.arg3 >> 16)}"
        f" proto={m.arg3 & 0xFF}"
    ),
    56: lambda m: f"Failed to map addr={_ip4(m.arg1)} to identity",
    57: lambda m: f"Failed to map addr.p4=[::{_ip6(m.arg1)}] to identity",
    58: lambda m: f"Successfully mapped addr={_ip4(m.arg1)} to identity={m.arg2}",
    59: lambda m: f"Successfully mapped addr.p4=[::{_ip6(m.arg1)}] to identity={m.arg2}",
    60: lambda m: f"Stale CT entry found stale_ct.rev_nat_id={m.arg2}, svc.rev_nat_id={m.arg1}",
    61: lambda m: f"Inheriting identity={m.arg1} from stack",
    62: lambda m: f"Socket lookup: {_tuple4(m)}",
    63: lambda m: f"Socket lookup: {_tuple6(m)}",
    64: lambda m: f"Socket assign: {_failure(m.arg1)}",
    65: lambda m: f"L7 LB from {_ip4(m.arg1)} to {_ip4(m.arg2)}: proxy port {m.arg3}",
}
LOCAL_CONTAINER_FOUND = 4


def message(debug: Debug, interface: InterfaceName) -> str:
    if debug.subtype == LOCAL_CONTAINER_FOUND:
        return f"Local container found ifindex {interface(debug.arg1)} seclabel {_port(debug.arg2)}"
    say = _SENTENCES.get(debug.subtype)
    if say is None:
        return f"Unknown message type={debug.subtype} arg1={debug.arg1} arg2={debug.arg2}"
    return say(debug)


def capture_place(capture: Capture, interface: InterfaceName) -> str:
    """Where a captured packet was, in short; "" where the short form says nothing."""
    match capture.subtype:
        case 4:
            return f"-> {interface(capture.arg1)}"
        case 5:
            return f"<- load-balancer {interface(capture.arg1)}"
        case 6:
            return f"== v4->v6 {capture.arg1}"
        case 7:
            return f"== v6->v4 {capture.arg1}"
        case 9:
            return f"-> proxy port {_port(capture.arg1)}"
    return ""


def capture_sentence(capture: Capture) -> str:
    match capture.subtype:
        case 4:
            return f"Delivery to ifindex {capture.arg1}"
        case 5:
            return f"Incoming packet to load balancer on ifindex {capture.arg1}"
        case 6:
            return f"Packet after nat46 ifindex {capture.arg1}"
        case 7:
            return f"Packet after nat64 ifindex {capture.arg1}"
        case 8:
            return f"Packet to proxy port {_port(capture.arg1)} (Pre)"
        case 9:
            return f"Packet to proxy port {_port(capture.arg1)} (Post)"
        case 10:
            return f"Packet going into snat engine on ifindex {capture.arg1}"
        case 11:
            return f"Packet coming from snat engine on ifindex {capture.arg1}"
    return f"Unknown message type={capture.subtype} arg1={capture.arg1}"
