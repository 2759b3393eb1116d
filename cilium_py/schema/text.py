"""Values to text and back: addresses, prefixes, ports, protocols, MACs, in the forms Cilium's users know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from cilium_py.errors import WrongUsage

PROTOCOLS = {0: "ANY", 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
"""The protocols that cilium-dbg has a name for."""
PROTOCOL_NUMBERS = {name.upper(): number for number, name in PROTOCOLS.items()}


def protocol_name(number: int) -> str:
    """TCP for 6; a protocol without a name is its number."""
    return PROTOCOLS.get(number) or str(number)


def parse_protocol(text: str) -> int:
    if text.upper() in PROTOCOL_NUMBERS:
        return PROTOCOL_NUMBERS[text.upper()]
    return number(text, "a protocol", 255)


@lru_cache(8192)
def ip(packed: bytes) -> str:
    """Text of a packed IPv4 (4 bytes) or IPv6 (16 bytes) address."""
    if len(packed) == 16 and not any(packed[:12]) and any(packed[12:14]):
        # The C library prints the obsolete ::a.b.c.d here.
        return f"::{packed[12] << 8 | packed[13]:x}:{packed[14] << 8 | packed[15]:x}"
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


MAPPED = bytes(10) + b"\xff\xff"


def unmapped(packed: bytes) -> bytes:
    """The IPv4 address that an IPv4-mapped IPv6 address stands for; any other address as it is."""
    return packed[12:] if packed.startswith(MAPPED) and len(packed) == 16 else packed


def go_ip(packed: bytes) -> str:
    """As cilium-dbg's tables print most addresses: an IPv4-mapped one as the IPv4 address."""
    return ip(packed if len(packed) == 4 else unmapped(packed))


def endpoint(packed: bytes, port: int) -> str:
    """10.0.0.1:443 or fd00::1:443: Cilium's tables put no brackets round an IPv6 address."""
    return f"{go_ip(packed)}:{port}"


def bracketed(packed: bytes, port: int) -> str:
    """10.0.0.1:443 or [fd00::1]:443."""
    return f"[{go_ip(packed)}]:{port}" if len(packed) == 16 else f"{ip(packed)}:{port}"


def prefix(network: tuple[bytes, int]) -> str:
    """10.0.0.0/8, whatever bits are set behind the prefix."""
    return f"{ip(network[0])}/{network[1]}"


def ip_net(network: tuple[bytes, int]) -> str:
    """A prefix as Go's net.IPNet prints it: an IPv4-mapped one as IPv4, and one that is none as <nil>."""
    address, length = network
    if not 0 <= length <= 8 * len(address):
        return "<nil>"
    short = unmapped(address)
    return f"{ip(short)}/{max(length - 8 * (len(address) - len(short)), 0)}"


def parse_ip(text: str) -> bytes:
    """Packed form of an IPv4 or IPv6 address. Raises WrongUsage."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        raise WrongUsage(f"{text!r} is not an IP address", "give one like 10.0.0.1 or fd00::1") from None


def parse_prefix(text: str) -> tuple[bytes, int]:
    """(packed network, prefix length) of a CIDR or a single address; bits beyond the prefix are cleared."""
    address, slash, length_text = text.partition("/")
    packed = parse_ip(address)
    width = len(packed) * 8
    length = number(length_text, "a prefix length", width) if slash else width
    return masked(packed, length), length


def masked(packed: bytes, length: int) -> bytes:
    """An address with the bits beyond a prefix length cleared."""
    width = len(packed) * 8
    mask = (1 << width) - (1 << (width - length))
    return (int.from_bytes(packed) & mask).to_bytes(len(packed))


def mac(packed: bytes) -> str:
    """02:0a:00:00:01:0b, of the first six bytes."""
    return packed[:6].hex(":")


def parse_mac(text: str) -> bytes:
    if re.fullmatch(r"[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2}", text):
        return bytes.fromhex(text.replace(".", ""))
    if not re.fullmatch(r"[0-9A-Fa-f]{1,2}([:-][0-9A-Fa-f]{1,2}){5}", text):
        raise WrongUsage(f"{text!r} is not a MAC address", "give one like 02:0a:00:00:01:0b")
    return bytes(int(octet, 16) for octet in re.split("[:-]", text))


def number(text: str, what: str, most: int, least: int = 0) -> int:
    """An integer in range, decimal or 0x hexadecimal. Raises WrongUsage that says what was expected."""
    plain = re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}", text)
    value = int(text, 16 if text[1:2] in ("x", "X") else 10) if plain else -1
    if not least <= value <= most:
        raise WrongUsage(f"{text!r} is not {what}", f"give a number from {least} to {most}")
    return value


def flag_names(value: int, names: Mapping[int, str]) -> list[str]:
    """The names of the bits that are set, lowest first; bits without a name are left out."""
    return [name for bit, name in sorted(names.items()) if value & bit]
