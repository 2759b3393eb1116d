"""Recorder: filters of packets to capture. Removed from Cilium in 1.19.

struct capture4_wcard {             struct capture_rule {
    __be32 saddr, daddr;                __u16 rule_id, reserved;
    __be16 sport, dport;                __u32 cap_len;
    __u8   nexthdr, smask, dmask,   };
           flags;
};                                  struct capture6_wcard: addresses of 16 bytes

A protocol or port of 0 matches any, a capture length of 0 is the whole packet.
"""

from typing import NamedTuple

from cilium_py.schema import (
    Address,
    GoList,
    GoStruct,
    GoType,
    Layout,
    Line,
    MapDef,
    Pair,
    Source,
    Struct,
    be16,
    ip4,
    ip6,
    layout,
    u8,
    u16,
    u32,
)
from cilium_py.schema.text import go_ip, protocol_name


@layout(size=16, c="capture4_wcard")
class Key4(Struct):
    saddr: ip4
    daddr: ip4
    sport: be16
    dport: be16
    nexthdr: u8
    smask: u8
    dmask: u8
    flags: u8


@layout(size=40, c="capture6_wcard")
class Key6(Struct):
    saddr: ip6
    daddr: ip6
    sport: be16
    dport: be16
    nexthdr: u8
    smask: u8
    dmask: u8
    flags: u8


@layout(size=8, c="capture_rule")
class Rule(Struct):
    rule_id: u16
    reserved: u16
    cap_len: u32


class Row(NamedTuple):
    source: Address
    source_prefix_length: int
    source_port: int
    destination: Address
    destination_prefix_length: int
    destination_port: int
    protocol: str
    rule_id: int
    capture_length: int


def decode(key: Key4 | Key6, rule: Rule) -> Row:
    return Row(
        key.saddr,
        key.smask,
        key.sport,
        key.daddr,
        key.dmask,
        key.dport,
        protocol_name(key.nexthdr),
        rule.rule_id,
        rule.cap_len,
    )


def order(row: Row) -> tuple[object, ...]:
    return len(row.source), row


def said(row: Row) -> tuple[str, str]:
    """Key and value as cilium-dbg prints them."""
    source = f"{go_ip(row.source)}/{row.source_prefix_length}"
    destination = f"{go_ip(row.destination)}/{row.destination_prefix_length}"
    if len(row.source) == 16:
        source, destination = f"[{source}]", f"[{destination}]"
    ends = f"{source}:{row.source_port} -> {destination}:{row.destination_port}"
    return f"{ends} {row.protocol}", f"ID:{row.rule_id} CapLen:{row.capture_length}"


def line(row: Row) -> str:
    return " ".join(said(row))


KEY = GoType("SrcAddr", "DestAddr", "SrcPort", "DestPort", "NextHdr", "SrcMask", "DestMask", "Flags")
RULE = GoType("RuleId", "Reserved", "CapLen")
RECORD = GoType("Key", "Value")


def compat_item(pair: Pair) -> GoStruct:
    key, rule = said(pair.row)
    return RECORD(
        KEY(*pair.key, text=lambda: f"{key} \n", reference="interface"),
        RULE(*pair.value, text=lambda: f"{rule}\n", reference="interface"),
    )


MAP = MapDef(
    command=("recorder",),
    summary="Filters of the packet recorder",
    row=Row,
    text=Line(line),
    sources=(
        Source("cilium_capture4_rules", (Layout("1.12", Key4, Rule, decode),)),
        Source("cilium_capture6_rules", (Layout("1.12", Key6, Rule, decode),), family=6),
    ),
    order=order,
    compat=GoList(compat_item, blank_line_after_map=True),
)
