"""Numbers of network protocols that the dissector knows, and their names."""

from __future__ import annotations

ETHER_HEADER, VLAN_TAG, IPV4_HEADER, IPV6_HEADER = 14, 4, 20, 40
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
VLAN, SERVICE_VLAN = 0x8100, 0x88A8
TRANSPARENT_ETHERNET = 0x6558

ETHERTYPES = {
    IPV4: "IPv4",
    ARP: "ARP",
    IPV6: "IPv6",
    VLAN: "Dot1Q",
    SERVICE_VLAN: "QinQ",
    0x8847: "MPLSUnicast",
    0x888E: "EAPOL",
    0x88CC: "LinkLayerDiscovery",
}

ICMP, IGMP, TCP, UDP, GRE, ESP, AH, ICMPV6, SCTP = 1, 2, 6, 17, 47, 50, 51, 58, 132
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
EXTENSIONS = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, AH, DESTINATION_OPTIONS})

PROTOCOLS = {
    ICMP: "icmp",
    IGMP: "igmp",
    4: "ipip",
    TCP: "tcp",
    UDP: "udp",
    41: "ipv6",
    GRE: "gre",
    ESP: "esp",
    AH: "ah",
    ICMPV6: "icmpv6",
    89: "ospf",
    112: "vrrp",
    SCTP: "sctp",
}
PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}

VXLAN_PORTS = frozenset({4789, 8472})
GENEVE_PORTS = frozenset({6081})

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
TCP_FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR}

_UNREACHABLE = (
    "Net", "Host", "Protocol", "Port", "FragmentationNeeded", "SourceRoutingFailed", "NetUnknown", "HostUnknown",
    "SourceIsolated", "NetAdminProhibited", "HostAdminProhibited", "NetTOS", "HostTOS", "CommAdminProhibited",
    "HostPrecedence", "PrecedenceCutoff",
)  # fmt: skip
_ICMP: dict[int, tuple[str, tuple[str, ...]]] = {
    0: ("EchoReply", ()),
    3: ("DestinationUnreachable", _UNREACHABLE),
    4: ("SourceQuench", ()),
    5: ("Redirect", ("Network", "Host", "TOS+Network", "TOS+Host")),
    8: ("EchoRequest", ()),
    9: ("RouterAdvertisement", ()),
    10: ("RouterSolicitation", ()),
    11: ("TimeExceeded", ("TTLExceeded", "FragmentReassemblyTimeExceeded")),
    12: ("ParameterProblem", ("PointerIndicatesError", "MissingOption", "BadLength")),
    13: ("TimestampRequest", ()),
    14: ("TimestampReply", ()),
    15: ("InfoRequest", ()),
    16: ("InfoReply", ()),
    17: ("AddressMaskRequest", ()),
    18: ("AddressMaskReply", ()),
}
_ICMPV6: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "DestinationUnreachable",
        (
            "NoRouteToDst", "AdminProhibited", "BeyondScopeOfSrc", "AddressUnreachable", "PortUnreachable",
            "SrcAddressFailedPolicy", "RejectRouteToDst",
        ),
    ),
    2: ("PacketTooBig", ()),
    3: ("TimeExceeded", ("HopLimitExceeded", "FragmentReassemblyTimeExceeded")),
    4: ("ParameterProblem", ("ErroneousHeader", "UnrecognizedNextHeader", "UnrecognizedIPv6Option")),
    128: ("EchoRequest", ()),
    129: ("EchoReply", ()),
    130: ("MLDv1MulticastListenerQueryMessage", ()),
    131: ("MLDv1MulticastListenerReportMessage", ()),
    132: ("MLDv1MulticastListenerDoneMessage", ()),
    133: ("RouterSolicitation", ()),
    134: ("RouterAdvertisement", ()),
    135: ("NeighborSolicitation", ()),
    136: ("NeighborAdvertisement", ()),
    137: ("Redirect", ()),
    143: ("MLDv2MulticastListenerReportMessageV2", ()),
}  # fmt: skip


def ethertype_name(number: int) -> str:
    return ETHERTYPES.get(number) or f"0x{number:04x}"


def protocol_name(number: int) -> str:
    return PROTOCOLS.get(number) or str(number)


def icmp_name(kind: int, code: int, six: bool) -> str:
    """EchoRequest, DestinationUnreachable(Port): the way Cilium's monitor names them."""
    name, codes = (_ICMPV6 if six else _ICMP).get(kind, ("", ()))
    if not name:
        return f"{kind}({code})"
    if codes:
        return f"{name}({codes[code]})" if code < len(codes) else f"{name}(Code: {code})"
    return f"{name}(Code: {code})" if code else name


def flag_names(flags: int) -> list[str]:
    return [name for name, bit in TCP_FLAGS.items() if flags & bit]
