"""A packet header by header, a line each, in the form of Cilium's `monitor -vv`; or as a hex dump."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cilium_py.monitor.dissect import dissect, dissect_network
from cilium_py.monitor.packet import Packet
from cilium_py.monitor.protocols import (
    AH,
    ARP,
    ETHER_HEADER,
    EXTENSIONS,
    FRAGMENT,
    ICMP,
    ICMPV6,
    IPV4,
    IPV4_HEADER,
    IPV6,
    IPV6_HEADER,
    SCTP,
    TCP,
    UDP,
    ethertype_name,
    icmp_name,
)
from cilium_py.schema.text import ip, mac

_PROTOCOLS = {ICMP: "ICMPv4", TCP: "TCP", UDP: "UDP", ICMPV6: "ICMPv6", SCTP: "SCTP", FRAGMENT: "IPv6Fragment"}
_TCP_BITS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_OPTIONS = {0: "EndList", 1: "NOP", 2: "MSS", 3: "WindowScale", 4: "SACKPermitted", 5: "SACK", 8: "Timestamps"}
SHOWN_WHOLE = 4
"""Lists longer than this are shown by their length."""

_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_TCP = struct.Struct(">HHIIBBHHH")


def lines(frame: bytes) -> list[str]:
    """The headers of an Ethernet frame."""
    return list(_frame(frame, dissect(frame)))


def network_lines(data: bytes, six: bool) -> list[str]:
    """The headers of a packet without Ethernet."""
    return list(_network(data, dissect_network(data, six)))


def hex_dump(data: bytes) -> list[str]:
    """Offset, sixteen bytes, the printable ones of them: as hexdump -C."""
    dump = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        halves = "  ".join(row[half : half + 8].hex(" ").ljust(23) for half in (0, 8))
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        dump.append(f"{at:08x}  {halves}  |{shown}|")
    return dump


def _frame(data: bytes, packet: Packet) -> Iterator[str]:
    if len(data) >= ETHER_HEADER:
        ethertype = ethertype_name(int.from_bytes(data[12:14]))
        yield (
            f"Ethernet\t{{{_body(data, ETHER_HEADER)} SrcMAC={mac(packet.source_mac)} "
            f"DstMAC={mac(packet.destination_mac)} EthernetType={ethertype} Length=0}}"
        )
    at = ETHER_HEADER
    for vlan in packet.vlans:
        tag, ethertype = int.from_bytes(data[at : at + 2]), ethertype_name(int.from_bytes(data[at + 2 : at + 4]))
        drop_eligible = _bool(tag & 0x1000)
        yield (
            f"Dot1Q\t{{{_body(data[at:], 4)} Priority={tag >> 13} DropEligible={drop_eligible} "
            f"VLANIdentifier={vlan} Type={ethertype}}}"
        )
        at += 4
    yield from _network(data[at:], packet)


def _network(data: bytes, packet: Packet) -> Iterator[str]:
    if packet.arp is not None:
        arp = packet.arp
        yield (
            f"ARP\t{{{_body(data, 28)} AddrType=Ethernet Protocol=IPv4 HwAddressSize=6 ProtAddressSize=4 "
            f"Operation={arp.operation} SourceHwAddress={mac(arp.sender_mac)} SourceProtAddress={ip(arp.sender)} "
            f"DstHwAddress={mac(arp.target_mac)} DstProtAddress={ip(arp.target)}}}"
        )
    elif packet.source and packet.ethertype == IPV4:
        header = (data[0] & 0xF) * 4
        yield _ipv4(data, header)
        yield from _transport(data[header : max(header, int.from_bytes(data[2:4]))], packet)
    elif packet.source and packet.ethertype == IPV6:
        yield _ipv6(data)
        yield from _transport(data[IPV6_HEADER + _extensions(data) :], packet)
    if packet.cut:
        yield f"  Packet has been truncated: {packet.cut}"
    elif not packet.source and packet.ethertype != ARP:
        yield f"  {ethertype_name(packet.ethertype)} is not dissected"


def _ipv4(data: bytes, header: int) -> str:
    first, tos, length, number, fragment, ttl, protocol, checksum, source, destination = _IPV4.unpack_from(data)
    flags = "|".join(name for bit, name in ((0x8000, "Evil"), (0x4000, "DF"), (0x2000, "MF")) if fragment & bit)
    payload = data[header : max(header, length)]
    return (
        f"IPv4\t{{Contents={_list(data[:header])} Payload={_list(payload)} Version=4 IHL={first & 0xF} TOS={tos} "
        f"Length={length} Id={number} Flags={flags} FragOffset={fragment & 0x1FFF} TTL={ttl} "
        f"Protocol={_protocol(protocol)} Checksum={checksum} SrcIP={ip(source)} DstIP={ip(destination)} "
        f"Options={_list(data[IPV4_HEADER:header])} Padding=[]}}"
    )


def _ipv6(data: bytes) -> str:
    first, length, following, limit, source, destination = _IPV6.unpack_from(data)
    return (
        f"IPv6\t{{{_body(data, IPV6_HEADER)} Version=6 TrafficClass={first >> 20 & 0xFF} FlowLabel={first & 0xFFFFF} "
        f"Length={length} NextHeader={_protocol(following)} HopLimit={limit} SrcIP={ip(source)} "
        f"DstIP={ip(destination)} HopByHop=nil}}"
    )


def _extensions(data: bytes) -> int:
    """How long the extension headers are together; the dissector has walked them already."""
    following, at = data[6], IPV6_HEADER
    while following in EXTENSIONS and len(data) >= at + 8:
        length = {FRAGMENT: 8, AH: (data[at + 1] + 2) * 4}.get(following, (data[at + 1] + 1) * 8)
        following, at = data[at], at + length
    return at - IPV6_HEADER


def _transport(data: bytes, packet: Packet) -> Iterator[str]:
    if packet.fragment or packet.cut:
        return
    if packet.protocol == TCP and len(data) >= _TCP.size:
        yield _tcp(data)
    elif packet.protocol == UDP and len(data) >= 8:
        length, checksum = struct.unpack_from(">HH", data, 4)
        yield (
            f"UDP\t{{{_body(data, 8)} SrcPort={packet.source_port} DstPort={packet.destination_port} "
            f"Length={length} Checksum={checksum}}}"
        )
        if packet.inner is not None:
            yield f"{packet.tunnel.upper()}\t{{VNI={packet.vni}}}"
            header = 8 if packet.tunnel == "vxlan" else 8 + (data[8] & 0x3F) * 4
            yield from _frame(data[8 + header :], packet.inner)
    elif packet.protocol == SCTP and len(data) >= 12:
        tag, checksum = struct.unpack_from(">II", data, 4)
        yield (
            f"SCTP\t{{{_body(data, 12)} SrcPort={packet.source_port} DstPort={packet.destination_port} "
            f"VerificationTag={tag} Checksum={checksum}}}"
        )
    elif packet.protocol in (ICMP, ICMPV6) and len(data) >= 8:
        yield _icmp(data, packet.protocol == ICMPV6)


def _icmp(data: bytes, six: bool) -> str:
    kind, code, checksum, number, sequence = struct.unpack_from(">BBHHH", data)
    name = icmp_name(kind, code, six)
    if six:
        return f"ICMPv6\t{{{_body(data, 4)} TypeCode={name} Checksum={checksum} TypeBytes=[]}}"
    return f"ICMPv4\t{{{_body(data, 8)} TypeCode={name} Checksum={checksum} Id={number} Seq={sequence}}}"


def _tcp(data: bytes) -> str:
    source, destination, sequence, acknowledged, offset, flags, window, checksum, urgent = _TCP.unpack_from(data)
    header = max((offset >> 4) * 4, _TCP.size)
    bits = " ".join(f"{name}={_bool(flags & 1 << bit)}" for bit, name in enumerate(_TCP_BITS))
    options = _options(data[_TCP.size : header])
    shown = f"..{len(options)}.." if len(options) > SHOWN_WHOLE else ", ".join(options)
    return (
        f"TCP\t{{{_body(data, header)} SrcPort={source} DstPort={destination} Seq={sequence} Ack={acknowledged} "
        f"DataOffset={offset >> 4} {bits} NS={_bool(offset & 1)} Window={window} Checksum={checksum} Urgent={urgent} "
        f"Options=[{shown}] Padding=[]}}"
    )


def _options(data: bytes) -> list[str]:
    found, at = [], 0
    while at < len(data):
        kind = data[at]
        length = 1 if kind <= 1 else data[at + 1] if at + 1 < len(data) else 0
        if length < 1 or (kind > 1 and length < 2):
            break
        value = data[at + 2 : at + length].hex()
        found.append(f"TCPOption({_OPTIONS.get(kind, kind)}:{' 0x' + value if value else ''})")
        at += length
    return found


def _body(data: bytes, header: int) -> str:
    return f"Contents={_list(data[:header])} Payload={_list(data[header:])}"


def _list(data: bytes) -> str:
    return f"[..{len(data)}..]" if len(data) > SHOWN_WHOLE else str(list(data))


def _protocol(number: int) -> str:
    return _PROTOCOLS.get(number) or f"Unknown({number})"


def _bool(value: int) -> str:
    return "true" if value else "false"
