"""What rules mean, read from their text alone: no entries, no identities, no code of the project.

A packet is looked at once for every section of every rule. Together with `random_rules` and `random_packet` this is
the other side of the model tests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
NUMBERS = {"TCP": (TCP,), "UDP": (UDP,), "SCTP": (SCTP,), "ANY": (TCP, UDP, SCTP)}
PARSERS = {"http": 101, "kafka": 106, "dns": 121}
HOSTS = {"host"}


@dataclass(frozen=True)
class Peer:
    """The other end: an endpoint by its labels, a reserved role, or an address of the world."""

    labels: frozenset[tuple[str, str]] = frozenset()
    role: str = ""
    address: str = ""


@dataclass(frozen=True)
class Packet:
    direction: str
    peer: Peer
    protocol: int
    port: int


@dataclass(frozen=True)
class Meaning:
    allowed: bool
    proxy: str | None = None


def read(
    rules: list[dict[str, Any]], own: dict[str, str], packet: Packet, names: dict[str, list[tuple[int, int]]]
) -> Meaning:
    """What the rules say of a packet to or from an endpoint with these labels."""
    mine = [rule for rule in rules if selects(rule["endpointSelector"], frozenset(own.items()))]
    closed = False
    allowed: list[tuple[int, str | None]] = []
    for rule in mine:
        sections = rule.get(packet.direction, [])
        denials = rule.get(packet.direction + "Deny", [])
        said = rule.get("enableDefaultDeny", {}).get(packet.direction)
        closed |= bool(sections or denials) if said is None else said
        if any(matches(section, packet, names, True) is not None for section in denials):
            return Meaning(False)
        for section in sections:
            proxies = matches(section, packet, names, False)
            if proxies is not None:
                allowed += proxies
    if packet.direction == "ingress" and packet.peer.role in HOSTS:
        allowed.append((1000, None))
    if not closed:
        allowed.append((1000, None))
    if not allowed:
        return Meaning(False)
    return Meaning(True, min(allowed, key=lambda pair: pair[0])[1])


def matches(
    section: dict[str, Any], packet: Packet, names: dict[str, list[tuple[int, int]]], deny: bool
) -> list[tuple[int, str | None]] | None:
    """The redirects (weight, proxy) that a section puts on a packet; None if it does not speak of it."""
    side = "from" if packet.direction == "ingress" else "to"
    kinds = {
        kind: section[side + kind] for kind in ("Endpoints", "CIDR", "CIDRSet", "Entities") if side + kind in section
    }
    has_ports = "toPorts" in section or "icmps" in section
    if not kinds and not has_ports:
        return None
    if kinds and not any(is_peer(kind, item, packet.peer) for kind, items in kinds.items() for item in items):
        return None
    if not has_ports:
        return [(1000, None)]
    found: list[tuple[int, str | None]] = []
    for rule in section.get("toPorts", []):
        if any(is_port(port, packet, names, deny) for port in rule["ports"]):
            parsers = list(rule.get("rules", {}))
            if parsers:
                found.append((PARSERS[parsers[0]], f"{parsers[0]}-{packet.direction}"))
            elif "listener" in rule:
                priority = rule["listener"].get("priority", 126)
                found.append((priority, f"{rule['listener']['envoyConfig']['name']}/{rule['listener']['name']}"))
            else:
                found.append((1000, None))
    for rule in section.get("icmps", []):
        for field in rule["fields"]:
            protocol = ICMP if field.get("family", "IPv4") == "IPv4" else ICMP6
            if (protocol, field["type"]) == (packet.protocol, packet.port):
                found.append((1000, None))
    return found or None


def is_port(port: dict[str, Any], packet: Packet, names: dict[str, list[tuple[int, int]]], deny: bool) -> bool:
    protocols = NUMBERS[port.get("protocol", "ANY")]
    if packet.protocol not in protocols:
        return False
    text = port["port"]
    if text in names:
        known = [number for protocol, number in names[text] if protocol == packet.protocol]
        return packet.port in known and (deny or len(known) == 1)
    if not text.isdecimal():
        return False
    first = int(text)
    return first == 0 or first <= packet.port <= max(first, port.get("endPort", 0))


def is_peer(kind: str, item: Any, peer: Peer) -> bool:
    if kind == "Endpoints":
        if not item.get("matchLabels") and not item.get("matchExpressions"):
            return True
        return selects(item, peer.labels)
    if kind == "Entities":
        version = ip_address(peer.address).version if peer.address else 0
        return {
            "all": True,
            "none": False,
            "world": bool(peer.address),
            "world-ipv4": version == 4,
            "world-ipv6": version == 6,
            "cluster": not peer.address,
        }.get(item, peer.role == item)
    if not peer.address:
        return False
    address = ip_address(peer.address)
    wide, excepted = (item, []) if kind == "CIDR" else (item["cidr"], item.get("except", []))
    return address in ip_network(wide) and not any(address in ip_network(narrow) for narrow in excepted)


def selects(selector: dict[str, Any], labels: frozenset[tuple[str, str]]) -> bool:
    have = dict(labels)
    for key, value in selector.get("matchLabels", {}).items():
        if have.get(key) != value:
            return False
    for condition in selector.get("matchExpressions", []):
        key, values = condition["key"], condition.get("values", [])
        held = {
            "In": have.get(key) in values,
            "NotIn": have.get(key) not in values,
            "Exists": key in have,
            "DoesNotExist": key not in have,
        }
        if not held[condition["operator"]]:
            return False
    return True


# Random cases, small enough that rules collide often.

LABELS = {"app": ["web", "db", "cache"], "env": ["prod", "test"], "tier": ["1", "2"]}
CIDRS = [
    "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.0.2.0/24", "192.0.2.128/25",
    "::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::7/128",
]  # fmt: skip
ADDRESSES = [
    "10.0.0.1", "10.1.7.1", "10.1.2.1", "10.1.2.3", "192.0.2.1", "192.0.2.200", "203.0.113.9",
    "2001:db8::1", "2001:db8:1::1", "2001:db8:1::7", "2001:dead::1",
]  # fmt: skip
ROLES = ["host", "remote-node", "health", "ingress"]
ENTITIES = ["all", "world", "world-ipv4", "world-ipv6", "cluster", "none", *ROLES]
NAMES = {"http": [(TCP, 80)], "dns": [(TCP, 53), (UDP, 53)], "metrics": [(TCP, 9090), (TCP, 9091)]}
PORTS = [1, 2, 53, 79, 80, 81, 95, 96, 127, 128, 443, 1000, 1023, 1024, 8080, 9090, 9091, 32767, 65534, 65535]


def random_labels(rng: random.Random) -> dict[str, str]:
    return {key: rng.choice(values) for key, values in LABELS.items() if rng.random() < 0.7} or {"app": "web"}


def random_selector(rng: random.Random) -> dict[str, Any]:
    selector: dict[str, Any] = {}
    if rng.random() < 0.6:
        key = rng.choice(list(LABELS))
        selector["matchLabels"] = {key: rng.choice(LABELS[key])}
    if rng.random() < 0.4:
        key = rng.choice(list(LABELS))
        operator = rng.choice(["In", "NotIn", "Exists", "DoesNotExist"])
        condition: dict[str, Any] = {"key": key, "operator": operator}
        if operator in ("In", "NotIn"):
            condition["values"] = rng.sample(LABELS[key], rng.randint(1, 2))
        selector["matchExpressions"] = [condition]
    return selector


def random_port(rng: random.Random, l7: bool) -> dict[str, Any]:
    port: dict[str, Any] = {"port": "0" if rng.random() < 0.15 and not l7 else str(rng.choice(PORTS))}
    if l7:
        port["protocol"] = "TCP"
        return port
    if rng.random() < 0.8:
        port["protocol"] = rng.choice(["TCP", "TCP", "UDP", "SCTP", "ANY"])
    if rng.random() < 0.15:
        port["port"] = rng.choice([*NAMES, "unknown"])
    elif rng.random() < 0.4 and port["port"] != "0":
        port["endPort"] = rng.randint(
            int(port["port"]), min(65535, int(port["port"]) + rng.choice([1, 20, 900, 70000]))
        )
    return port


def random_section(rng: random.Random, direction: str, deny: bool) -> dict[str, Any]:
    side = "from" if direction == "ingress" else "to"
    section: dict[str, Any] = {}
    match rng.randint(0, 5):
        case 0:
            section[side + "Endpoints"] = [random_selector(rng) for _ in range(rng.randint(0, 2))]
        case 1:
            section[side + "Endpoints"] = [random_selector(rng) for _ in range(rng.randint(1, 2))]
        case 2:
            section[side + "CIDR"] = rng.sample(CIDRS, rng.randint(1, 2))
        case 3:
            wide = rng.choice(CIDRS)
            inner = [
                c
                for c in CIDRS
                if c != wide
                and ip_network(c).version == ip_network(wide).version
                and ip_network(c).subnet_of(ip_network(wide))
            ]  # type: ignore[arg-type]
            excepted = rng.sample(inner, min(len(inner), rng.randint(0, 2)))
            section[side + "CIDRSet"] = [{"cidr": wide, **({"except": excepted} if excepted else {})}]
        case 4:
            section[side + "Entities"] = rng.sample(ENTITIES, rng.randint(1, 2))
    if rng.random() < 0.7:
        section["toPorts"] = []
        for _ in range(rng.randint(1, 2)):
            kind = "" if deny else rng.choice(["", "", "", "http", "kafka", "listener", "dns"])
            if direction == "ingress" and kind in ("listener", "dns"):
                kind = "http"
            rule: dict[str, Any] = {"ports": [random_port(rng, bool(kind)) for _ in range(rng.randint(1, 3))]}
            if kind == "listener":
                priority = rng.randint(1, 3)
                rule["listener"] = {"envoyConfig": {"kind": "CiliumEnvoyConfig", "name": "envoy"},
                                    "name": f"p{priority}", "priority": priority}  # fmt: skip
            elif kind:
                rule["rules"] = {kind: [{}]}
            section["toPorts"].append(rule)
    elif rng.random() < 0.3:
        section["icmps"] = [
            {"fields": [{"type": rng.choice([0, 3, 8, 128, 129]), "family": rng.choice(["IPv4", "IPv6"])}]}
        ]
    return section


def random_rule(rng: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {"endpointSelector": random_selector(rng) if rng.random() < 0.4 else {}}
    for direction in ("ingress", "egress"):
        for deny in (False, True):
            if rng.random() < (0.25 if deny else 0.6):
                sections = [random_section(rng, direction, deny) for _ in range(rng.randint(0, 2))]
                rule[direction + ("Deny" if deny else "")] = sections
    if rng.random() < 0.2:
        rule["enableDefaultDeny"] = {rng.choice(["ingress", "egress"]): rng.random() < 0.5}
    return rule


def random_rules(rng: random.Random) -> list[dict[str, Any]]:
    return [random_rule(rng) for _ in range(rng.randint(0, 6))]


def random_packet(rng: random.Random, peers: list[Peer]) -> Packet:
    protocol = rng.choice([TCP, TCP, TCP, UDP, UDP, SCTP, ICMP, ICMP6])
    port = rng.choice([0, 3, 8, 128, 129]) if protocol in (ICMP, ICMP6) else rng.choice([*PORTS, rng.randint(1, 65535)])
    return Packet(rng.choice(["ingress", "egress"]), rng.choice(peers), protocol, port)
