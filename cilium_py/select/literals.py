"""Values as users write them: numbers and ranges, durations, networks, protocols. Each becomes a condition."""

from __future__ import annotations

import re

from cilium_py.errors import WrongUsage
from cilium_py.schema.duration import seconds
from cilium_py.schema.text import number, parse_ip, parse_mac, parse_prefix, protocol_name, unmapped
from cilium_py.select.fields import Field, Kind
from cilium_py.select.tree import Compare, Covers, Has, Like, Missing, Node, Operator, Within, all_of

MOST = (1 << 64) - 1
SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def integer(text: str) -> int:
    """A number: decimal, 0x hexadecimal, or with k, M, G, Ki, Mi, Gi behind it. Raises WrongUsage."""
    sized = re.fullmatch(r"(\d{1,20})(k|m|g|t|ki|mi|gi)", text, re.IGNORECASE)
    if sized:
        return int(sized[1]) * SIZES[sized[2].lower()]
    return number(text.replace("_", ""), "a number", MOST)


def decimal(field: Field, text: str) -> float:
    """0.95, 95% or a whole number; of a field in percent, 95 is 95%. Raises WrongUsage."""
    plain, percent = text.removesuffix("%"), text.endswith("%")
    if not re.fullmatch(r"\d{1,18}(\.\d{1,9})?", plain):
        raise WrongUsage(f"{text!r} is not a number", "give one like 0.95 or 95%")
    return float(plain) / 100 if percent and not field.name.endswith("_percent") else float(plain)


def network(text: str) -> tuple[bytes, int]:
    """A CIDR or one address; an IPv4-mapped address is the IPv4 address. Raises WrongUsage."""
    base, length = parse_prefix(text)
    plain = unmapped(base)
    return (plain, length - 96) if len(plain) < len(base) and length >= 96 else (base, length)


def compared(field: Field, operator: Operator, text: str) -> Node:
    """The condition `field operator text`. Raises WrongUsage if the text is none of the field's kind."""
    if text.lower() == "none" and operator == "==":
        return Missing(field)
    ordered = operator != "=="
    match field.kind:
        case Kind.NUMBER:
            return Compare(field, operator, integer(text))
        case Kind.DECIMAL:
            return Compare(field, operator, decimal(field, text))
        case Kind.TIME:
            return Compare(field, operator, seconds(text))
        case _ if ordered:
            raise WrongUsage(f"{field.name} is {field.kind.value}: it has no order", "== and != compare it")
    return one_of(field, text)


def one_of(field: Field, text: str) -> Node:
    """The condition that a field is a value, is in a range or network, or has a word."""
    match field.kind:
        case Kind.NUMBER:
            least, dash, most = text.partition("-")
            if not dash:
                return Compare(field, "==", integer(text))
            if integer(least) > integer(most):
                raise WrongUsage(f"{text!r} is an empty range", "give the smaller number first")
            return all_of(Compare(field, ">=", integer(least)), Compare(field, "<=", integer(most)))
        case Kind.DECIMAL:
            return Compare(field, "==", decimal(field, text))
        case Kind.TIME:
            return Compare(field, "==", seconds(text))
        case Kind.TEXT:
            return Compare(field, "==", protocol(field, text))
        case Kind.FLAG:
            return Compare(field, "==", truth(text))
        case Kind.ADDRESS:
            return Within(field, network(text))
        case Kind.PREFIX:
            return Compare(field, "==", parse_prefix(text))
        case Kind.MAC:
            return Compare(field, "==", parse_mac(text))
        case Kind.NAMES:
            return Has(field, text)
        case Kind.OTHER:
            raise WrongUsage(f"{field.name} cannot be selected by", "its items are no words or numbers")


def inside(field: Field, text: str) -> Node:
    """The condition `field in text`: of a prefix, that it lies in a network."""
    return Within(field, network(text)) if field.kind is Kind.PREFIX else one_of(field, text)


def concerning(field: Field, text: str) -> Node:
    """That an address field is in a network; that a prefix lies in it or, given one address, has that address in it."""
    if field.kind is Kind.PREFIX and "/" not in text:
        return Covers(field, unmapped(parse_ip(text)))
    return inside(field, text)


def like(field: Field, text: str) -> Node:
    if field.kind not in (Kind.TEXT, Kind.NAMES):
        raise WrongUsage(f"{field.name} is {field.kind.value}: ~ is for words")
    return Like(field, text)


def protocol(field: Field, text: str) -> str:
    """A word as rows have it: a protocol with a name by that."""
    is_number = field.name.endswith("protocol") and text.isdecimal() and len(text) <= 3
    return protocol_name(int(text)) if is_number else text


def truth(text: str) -> bool:
    if text.lower() not in TRUTH:
        raise WrongUsage(f"{text!r} is neither true nor false")
    return TRUTH[text.lower()]
