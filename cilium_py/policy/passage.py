"""The ingress and egress sections of a rule, parsed: ports, ICMP types, what goes through a proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .document import Value
from .peers import Words, parse_peers
from .ports import ICMP, ICMPV6, LAST_PORT, PROTOCOLS, TCP, UDP, WITH_PORTS
from .rule import AuthType, Direction, IcmpType, NamedPort, Passage, Port, PortMatch, Redirect

MOST_PORTS = 40
AUTH_MODES = {
    "disabled": AuthType.DISABLED, "required": AuthType.SPIRE, "test-always-fail": AuthType.ALWAYS_FAIL,
}  # fmt: skip
PARSER_PRIORITY = {"http": 101, "kafka": 106, "l7": 111, "tls": 116, "dns": 121, "crd": 126}
"""Which redirect of a port wins when no policy says: the smaller number."""
ICMP_TYPES = {
    "IPv4": {
        "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8,
        "RouterAdvertisement": 9, "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12,
        "Timestamp": 13, "TimestampReply": 14, "Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEchoReply": 43,
    },
    "IPv6": {
        "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4,
        "EchoRequest": 128, "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131,
        "MulticastListenerDone": 132, "RouterSolicitation": 133, "RouterAdvertisement": 134,
        "NeighborSolicitation": 135, "NeighborAdvertisement": 136, "RedirectMessage": 137, "RouterRenumbering": 138,
        "ICMPNodeInformationQuery": 139, "ICMPNodeInformationResponse": 140,
        "InverseNeighborDiscoverySolicitation": 141, "InverseNeighborDiscoveryAdvertisement": 142,
        "HomeAgentAddressDiscoveryRequest": 144, "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146,
        "MobilePrefixAdvertisement": 147, "DuplicateAddressRequestCodeSuffix": 157,
        "DuplicateAddressConfirmationCodeSuffix": 158, "ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
    },
}  # fmt: skip
_SERVICE_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}")

_REFUSED = {
    Direction.INGRESS: {
        "fromRequires": "write the condition into each fromEndpoints",
        "fromGroups": "groups of a cloud provider",
        "fromNodes": "selecting nodes by label",
    },
    Direction.EGRESS: {
        "toRequires": "write the condition into each toEndpoints",
        "toGroups": "groups of a cloud provider",
        "toNodes": "selecting nodes by label",
        "toServices": "name the backends by toEndpoints or toCIDR",
        "toFQDNs": "names need a DNS proxy",
    },
}


def parse_passages(rule: dict[str, Value], direction: Direction, deny: bool, words: Words) -> Iterator[Passage]:
    """The sections under `ingress`, `ingressDeny`, `egress` or `egressDeny`."""
    name = f"{direction}Deny" if deny else f"{direction}"
    for at, section in enumerate(rule[name].items() if name in rule else ()):
        yield _passage(section, direction, deny, words, f"{name}[{at}]")


def _passage(value: Value, direction: Direction, deny: bool, words: Words, path: str) -> Passage:
    side = "from" if direction is Direction.INGRESS else "to"
    known = [f"{side}Endpoints", f"{side}CIDR", f"{side}CIDRSet", f"{side}Entities", "toPorts", "icmps"]
    refused = dict(_REFUSED[direction])
    if deny:
        refused["authentication"] = "what is denied needs none"
    else:
        known.append("authentication")
    fields = value.fields(known, refused)
    ports: list[tuple[PortMatch, Redirect | None]] = []
    rules = fields["toPorts"].items() if "toPorts" in fields else []
    icmps = fields["icmps"].items() if "icmps" in fields else []
    if rules and icmps:
        value.wrong("has both toPorts and icmps", "write one section for each")
    for rule in rules:
        ports += _port_rule(rule, direction, deny)
    for rule in icmps:
        ports += ((icmp, None) for icmp in _icmp_rule(rule))
    return Passage(
        direction=direction,
        deny=deny,
        peers=parse_peers(fields, direction, value, words),
        ports=tuple(ports),
        has_ports=bool(rules or icmps),
        auth=_auth(fields["authentication"]) if "authentication" in fields else None,
        path=path,
    )


def _auth(value: Value) -> AuthType:
    fields = value.fields(("mode",))
    mode = fields["mode"].text() if "mode" in fields else value.wrong("has no mode")
    if mode not in AUTH_MODES:
        fields["mode"].wrong(f"{mode!r} is not a mode", f"there are {', '.join(AUTH_MODES)}")
    return AUTH_MODES[mode]


def _port_rule(value: Value, direction: Direction, deny: bool) -> Iterator[tuple[PortMatch, Redirect | None]]:
    known = ("ports",) if deny else (
        "ports", "rules", "listener", "serverNames", "terminatingTLS", "originatingTLS",
    )  # fmt: skip
    refused = dict.fromkeys(
        ("rules", "listener", "serverNames", "terminatingTLS", "originatingTLS"), "a proxy cannot deny; deny the port"
    )
    fields = value.fields(known, refused)
    items = fields["ports"].items() if "ports" in fields else []
    if not items:
        value.wrong("names no ports", 'write port: "0" for all of them')
    if len(items) > MOST_PORTS:
        fields["ports"].wrong(f"has {len(items)} ports, at most {MOST_PORTS} are allowed")
    redirect = _redirect(fields, direction)
    for item in items:
        yield _port(item, redirect), redirect


def _redirect(fields: dict[str, Value], direction: Direction) -> Redirect | None:
    """What the L7 part of a port rule means for the datapath: which proxy the traffic goes through."""
    parser = _parser(fields["rules"], direction) if "rules" in fields else None
    if "serverNames" in fields and fields["serverNames"].items():
        if parser and "terminatingTLS" not in fields:
            fields["serverNames"].wrong("cannot be combined with rules unless terminatingTLS is there too")
        parser = parser or "tls"
    if "listener" not in fields:
        return Redirect(parser, None, PARSER_PRIORITY[parser]) if parser else None
    listener = fields["listener"]
    if direction is Direction.INGRESS:
        listener.wrong("is only possible on egress")
    if parser:
        listener.wrong("cannot be combined with rules or serverNames")
    said = listener.fields(("envoyConfig", "name", "priority"))
    for name in ("envoyConfig", "name"):
        if name not in said:
            listener.wrong(f"has no {name}")
    config = said["envoyConfig"].fields(("kind", "name"))
    owner = config["name"].text() if "name" in config else said["envoyConfig"].wrong("has no name")
    priority = said["priority"].number(1, 100) if "priority" in said else PARSER_PRIORITY["crd"]
    return Redirect("crd", f"{owner}/{said['name'].text()}", priority)


def _parser(value: Value, direction: Direction) -> str | None:
    """The parser that L7 rules need. Their content is the proxy's: only its shape is checked here."""
    fields = value.fields(("http", "kafka", "dns", "l7proto", "l7"))
    kinds = [name for name in ("http", "kafka", "dns", "l7proto") if name in fields and fields[name].data is not None]
    if "l7" in fields and "l7proto" not in fields:
        fields["l7"].wrong("needs l7proto")
    if len(kinds) > 1:
        value.wrong(f"has both {kinds[0]} and {kinds[1]}", "write one port rule for each")
    if not kinds:
        return None
    if kinds[0] == "l7proto":
        fields["l7proto"].text()
        return "l7"
    for item in fields[kinds[0]].items():
        item.mapping()
    if kinds[0] == "dns" and direction is Direction.INGRESS:
        fields["dns"].wrong("is only possible on egress")
    return kinds[0]


def _port(value: Value, redirect: Redirect | None) -> PortMatch:
    fields = value.fields(("port", "endPort", "protocol"))
    protocol = _protocol(fields["protocol"]) if "protocol" in fields else None
    if "port" not in fields:
        value.wrong("has no port", 'write port: "0" for all of them')
    text = str(fields["port"].data) if isinstance(fields["port"].data, int) else fields["port"].text()
    named = not _NUMBER.fullmatch(text)
    last = fields["endPort"].number(0, LAST_PORT) if "endPort" in fields else 0
    if named:
        if not _SERVICE_NAME.fullmatch(text.lower()):
            fields["port"].wrong(f"{text!r} is neither a port nor the name of one")
        if last:
            fields["endPort"].wrong("a port by name is not a range")
    elif int(text) > LAST_PORT:
        fields["port"].wrong(f"must be a port from 0 to {LAST_PORT}")
    if redirect is not None:
        _check_redirected(fields, protocol, redirect, text, last)
    if named:
        return NamedPort(protocol, text.lower())
    first = int(text)
    if last and (last < first or not first):
        fields["endPort"].wrong(f"the range {first} to {last} is empty" if first else "port 0 already means all ports")
    if protocol is not None and protocol not in WITH_PORTS and first and protocol not in (ICMP, ICMPV6):
        fields["port"].wrong("this protocol has no ports", 'write port: "0"')
    return Port(protocol, first, max(first, last))


def _check_redirected(fields: dict[str, Value], protocol: int | None, redirect: Redirect, port: str, last: int) -> None:
    if port == "0":
        fields["port"].wrong("L7 rules need a port other than 0")
    if redirect.parser == "dns":
        if last > int(port if port.isdecimal() else 0):
            fields["endPort"].wrong("DNS rules take no range of ports")
        if protocol not in (None, TCP, UDP):
            fields["protocol"].wrong("DNS rules apply to TCP and UDP")
    elif redirect.parser != "crd" and protocol != TCP:
        fields.get("protocol", fields["port"]).wrong("L7 rules apply to TCP", "write protocol: TCP")


def _protocol(value: Value) -> int | None:
    name = value.text().upper()
    if name in ("ANY", ""):
        return None
    if name not in PROTOCOLS:
        value.wrong(f"{value.data!r} is not a protocol", f"there are {', '.join(PROTOCOLS)} and ANY")
    return PROTOCOLS[name]


def _icmp_rule(value: Value) -> Iterator[IcmpType]:
    fields = value.fields(("fields",))
    items = fields["fields"].items() if "fields" in fields else []
    if not items:
        value.wrong("names no types", "write fields, each with a type")
    if len(items) > MOST_PORTS:
        fields["fields"].wrong(f"has {len(items)} types, at most {MOST_PORTS} are allowed")
    for item in items:
        said = item.fields(("family", "type"))
        family = said["family"].text() if "family" in said else "IPv4"
        if family not in ICMP_TYPES:
            said["family"].wrong(f"{family!r} is not a family", "there are IPv4 and IPv6")
        kind = said["type"] if "type" in said else item.wrong("has no type")
        names = ICMP_TYPES[family]
        if isinstance(kind.data, str) and not _NUMBER.fullmatch(kind.data):
            if kind.data not in names:
                kind.wrong(f"{kind.data!r} is not a type of ICMP for {family}", f"there are {', '.join(names)}")
            number = names[kind.data]
        else:
            number = int(kind.data) if isinstance(kind.data, str) else kind.number(0, 255)
            if number > 255:
                kind.wrong("must be a number from 0 to 255")
        yield IcmpType(ICMP if family == "IPv4" else ICMPV6, number)
