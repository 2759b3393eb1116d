"""Entries of an endpoint's policy map, written as a rule compiler would write them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from cilium_py.bpf.map import BpfMap
from cilium_py.lab import Lab
from cilium_py.loader.pins import policy_pin

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
STATIC_BITS = 40
"""Bits of a key that every entry matches in full: the identity and the direction."""

KEY = struct.Struct("<IIBB2s")
VALUE = struct.Struct("<HBBI")


class Entry(NamedTuple):
    """What one entry matches: all peers if the identity is 0, all ports if the port is."""

    identity: int = 0
    protocol: int = 0
    port: int = 0
    deny: bool = False


def write(lab: Lab, node: str, endpoint_id: int, egress: bool, entry: Entry) -> None:
    bits = (8 if entry.protocol else 0) + (16 if entry.port else 0)
    key = KEY.pack(STATIC_BITS + bits, entry.identity, egress, entry.protocol, entry.port.to_bytes(2, "big"))
    value = VALUE.pack(0, entry.deny | bits << 3, 0, 0)
    with BpfMap.open(policy_pin(lab.paths(node), endpoint_id), read_only=False) as opened:
        opened.update(key, value)


def clear(lab: Lab, node: str, endpoint_id: int) -> None:
    """Remove every entry, and forget every connection of the node."""
    directory = lab.paths(node).globals
    for pin in (policy_pin(lab.paths(node), endpoint_id), *directory.glob("cilium_ct*_global")):
        with BpfMap.open(pin, read_only=False) as opened:
            for key in list(opened.keys()):
                opened.delete(key)
