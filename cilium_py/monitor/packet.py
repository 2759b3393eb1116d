"""A packet as far as it was taken apart, in one line and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from cilium_py.monitor.protocols import (
    ACK,
    ETHERTYPES,
    FIN,
    ICMPV6,
    RST,
    SYN,
    TCP,
    ethertype_name,
    flag_names,
    icmp_name,
    protocol_name,
)
from cilium_py.schema.text import ip, mac

ARP_REQUEST, ARP_REPLY = 1, 2
_FLAGS_SAID = {"SYN": SYN, "ACK": ACK, "RST": RST, "FIN": FIN}


@dataclass(frozen=True, slots=True)
class Arp:
    operation: int
    sender_mac: bytes
    sender: bytes
    target_mac: bytes
    target: bytes


@dataclass(eq=False)
class Packet:
    """What a packet says of itself and its flow. Two that are equal there may be one object.

    Addresses are packed, b"" if there are none. `cut` names the header that the capture, or the packet itself,
    ends in, or that makes no sense.
    """

    ethertype: int = 0
    source_mac: bytes = b""
    destination_mac: bytes = b""
    vlans: tuple[int, ...] = ()
    source: bytes = b""
    destination: bytes = b""
    protocol: int | None = None
    fragment: bool = False
    """A later fragment: it has no ports."""
    source_port: int | None = None
    destination_port: int | None = None
    tcp_flags: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    arp: Arp | None = None
    tunnel: str = ""
    vni: int | None = None
    inner: Packet | None = None
    cut: str = ""
    # Made once, when first asked for. functools.cached_property takes a lock for that, before Python 3.12.
    _summary: str = ""
    _json: str = ""

    @property
    def summary(self) -> str:
        """10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN: the line of Cilium's monitor, that says more where it says little."""
        if not self._summary:
            self._summary = self._summarize()
        return self._summary

    def _summarize(self) -> str:
        if self.inner is not None:
            return f"{self.inner.summary} [tunnel {self._ends()} {self.tunnel}]"
        if self.source:
            return f"{self._ends()} {self._transport()}".rstrip()
        if self.destination_mac:
            return f"{mac(self.source_mac)} -> {mac(self.destination_mac)} {self._link()}"
        return "[unknown]"

    @property
    def json(self) -> str:
        """The packet as one JSON object."""
        if not self._json:
            self._json = self._encode()
        return self._json

    def _encode(self) -> str:
        """Written by hand: no text in it needs an escape, and new flows are many."""
        link = ip_layer = transport = tunnel = ""
        if self.destination_mac:
            vlans = f',"vlans":{list(self.vlans)}' if self.vlans else ""
            link = (
                f',"ethernet":{{"source":"{self.source_mac.hex(":")}","destination":"{self.destination_mac.hex(":")}"'
                f',"type":"{ethertype_name(self.ethertype)}"{vlans}}}'
            )
        if self.source:
            assert self.protocol is not None
            name = protocol_name(self.protocol)
            ip_layer = (
                f',"ip":{{"version":{4 if len(self.source) == 4 else 6},"source":"{ip(self.source)}"'
                f',"destination":"{ip(self.destination)}","protocol":"{name}"'
                f',"fragment":{"true" if self.fragment else "false"}}}'
            )
            if self.source_port is not None:
                flags = "" if self.tcp_flags is None else f',"flags":{_flag_list(self.tcp_flags)}'
                ports = f'"source_port":{self.source_port},"destination_port":{self.destination_port}'
                transport = f',"{name}":{{{ports}{flags}}}'
            elif self.icmp_type is not None:
                kind = f'"type":{self.icmp_type},"code":{self.icmp_code},"name":"{self._icmp()}"'
                transport = f',"icmp":{{{kind}}}'
        elif self.arp is not None:
            transport = f',"arp":{_arp_json(self.arp)}'
        if self.inner is not None:
            tunnel = f',"{self.tunnel}":{{"vni":{self.vni},"packet":{self.inner.json}}}'
        cut = f',"cut":"{self.cut}"' if self.cut else ""
        return f'{{"summary":"{self.summary}"{link}{ip_layer}{transport}{tunnel}{cut}}}'

    def _ends(self) -> str:
        if self.source_port is None:
            return f"{ip(self.source)} -> {ip(self.destination)}"
        form = "{}:{}" if len(self.source) == 4 else "[{}]:{}"
        source = form.format(ip(self.source), self.source_port)
        return f"{source} -> {form.format(ip(self.destination), self.destination_port)}"

    def _transport(self) -> str:
        assert self.protocol is not None
        if self.icmp_type is not None:
            return self._icmp()
        said = protocol_name(self.protocol)
        said = f"protocol {said}" if said.isdecimal() else said
        if self.protocol == TCP and self.tcp_flags is not None:
            return f"{said} {tcp_flags(self.tcp_flags)}"
        return f"{said} fragment" if self.fragment else said

    def _icmp(self) -> str:
        assert self.icmp_type is not None
        assert self.icmp_code is not None
        return icmp_name(self.icmp_type, self.icmp_code, self.protocol == ICMPV6)

    def _link(self) -> str:
        arp = self.arp
        if arp is None:
            return ETHERTYPES.get(self.ethertype) or f"0x{self.ethertype:04x}"
        if arp.operation == ARP_REQUEST:
            return f"ARP who-has {ip(arp.target)} tell {ip(arp.sender)}"
        if arp.operation == ARP_REPLY:
            return f"ARP {ip(arp.sender)} is-at {mac(arp.sender_mac)}"
        return f"ARP operation {arp.operation}"


@cache
def _flag_list(flags: int) -> str:
    return "[" + ",".join(f'"{name}"' for name in flag_names(flags)) + "]"


def _arp_json(arp: Arp) -> str:
    return (
        f'{{"operation":{arp.operation},"sender_mac":"{arp.sender_mac.hex(":")}","sender":"{ip(arp.sender)}"'
        f',"target_mac":"{arp.target_mac.hex(":")}","target":"{ip(arp.target)}"}}'
    )


@cache
def tcp_flags(flags: int) -> str:
    """SYN, ACK: those of the four that open and close a connection."""
    return ", ".join(name for name, bit in _FLAGS_SAID.items() if flags & bit)
