"""Which events to show. Values of one filter are alternatives, filters are joined by and, `!` negates a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from cilium_py.errors import WrongUsage
from cilium_py.monitor import names
from cilium_py.monitor.events import L7, Agent, Drop, Event, Recorder, Trace, TraceSock, Verdict
from cilium_py.monitor.labels import Names
from cilium_py.monitor.packet import Packet
from cilium_py.monitor.protocols import ARP, PROTOCOL_NUMBERS
from cilium_py.node.identity import RESERVED
from cilium_py.schema.text import number, parse_prefix

T = TypeVar("T")
EventTest = Callable[[Event], bool]
PacketTest = Callable[[Packet], bool]

VERDICTS = ("forwarded", "dropped", "redirected", "audited")
_ACTIONS = {"allow": "forwarded", "deny": "dropped", "redirect": "redirected", "audit": "audited"}
_BY_NAME = {text.lower(): code for code, text in names.REASONS.items()}
REMEMBERED = 65536


@dataclass
class Filters:
    """Tests that an event must pass. Those on the packet alone are made once for each flow."""

    kinds: frozenset[int] | None = None
    """None for every kind."""
    event_tests: list[EventTest] = field(default_factory=list)
    packet_tests: list[PacketTest] = field(default_factory=list)
    _remembered: dict[Packet, bool] = field(default_factory=dict)

    @property
    def needs_nothing(self) -> bool:
        return not self.event_tests and not self.packet_tests

    def passes(self, event: Event, packet: Packet | None) -> bool:
        """Whether to show an event, its kind aside. One without a packet fails every test of a packet."""
        return all(test(event) for test in self.event_tests) and (
            not self.packet_tests or (packet is not None and self._packet_passes(packet))
        )

    def _packet_passes(self, packet: Packet) -> bool:
        found = self._remembered.get(packet)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = self._remembered[packet] = all(test(packet) for test in self.packet_tests)
        return found

    def by_kind(self, values: Iterable[str]) -> None:
        wanted, unwanted = _split(values)
        kinds = {_kind(value) for value in wanted} or set(names.KIND_NAMES)
        if wanted or unwanted:
            self.kinds = frozenset(kinds - {_kind(value) for value in unwanted})

    def by_endpoint(self, values: Iterable[str], side: str) -> None:
        """`side` is from, to or related."""

        def holds(value: str) -> EventTest:
            wanted = number(value, "an endpoint id", 65535)
            return lambda event: wanted in _sides(endpoints(event), side)

        self.event_tests += _tests(values, holds)

    def by_identity(self, values: Iterable[str], side: str, known: Names) -> None:
        """By number, reserved name, or a label such as app=web or k8s:app=web."""

        def holds(value: str) -> EventTest:
            if value.isdecimal() or value in RESERVED:
                wanted = RESERVED[value] if value in RESERVED else number(value, "an identity", (1 << 32) - 1)
                return lambda event: wanted in _sides(identities(event), side)
            if "=" not in value and ":" not in value:
                hint = f"give a number, a label, or one of {', '.join(RESERVED)}"
                raise WrongUsage(f"{value!r}: no such identity", hint)
            return lambda event: any(
                label == value or label.partition(":")[2] == value
                for identity in _sides(identities(event), side)
                for label in known.labels(identity)
            )

        self.event_tests += _tests(values, holds)

    def by_verdict(self, values: Iterable[str]) -> None:
        def holds(value: str) -> EventTest:
            wanted = _ACTIONS.get(value, value)
            if wanted not in VERDICTS:
                raise WrongUsage(f"--verdict {value}: no such verdict", f"one of {', '.join(VERDICTS)}")
            return lambda event: outcome(event) == wanted

        self.event_tests += _tests(values, holds)

    def by_drop_reason(self, values: Iterable[str]) -> None:
        def holds(value: str) -> EventTest:
            wanted = _reason(value)
            return lambda event: drop_reason(event) == wanted

        self.event_tests += _tests(values, holds)

    def by_address(self, values: Iterable[str], side: str) -> None:
        """By CIDR or address, of the packet or of what a tunnel carries."""

        def holds(value: str) -> PacketTest:
            network, length = parse_prefix(value)
            shift = len(network) * 8 - length
            wanted = int.from_bytes(network) >> shift

            def matches(packet: Packet) -> bool:
                return any(
                    len(address) == len(network) and int.from_bytes(address) >> shift == wanted
                    for layer in _layers(packet)
                    for address in _sides(addresses(layer), side)
                )

            return matches

        self.packet_tests += _tests(values, holds)

    def by_port(self, values: Iterable[str], side: str) -> None:
        """By number or range, of the packet or of what a tunnel carries."""

        def holds(value: str) -> PacketTest:
            low_text, _, high_text = value.partition("-")
            low = number(low_text, "a port", 65535)
            high = number(high_text, "a port", 65535) if high_text else low
            return lambda packet: any(
                port is not None and low <= port <= high
                for layer in _layers(packet)
                for port in _sides((layer.source_port, layer.destination_port), side)
            )

        self.packet_tests += _tests(values, holds)

    def by_protocol(self, values: Iterable[str]) -> None:
        def holds(value: str) -> PacketTest:
            if value.lower() == "arp":
                return lambda packet: any(layer.ethertype == ARP for layer in _layers(packet))
            wanted = PROTOCOL_NUMBERS.get(value.lower())
            if wanted is None:
                wanted = number(value, f"a protocol ({', '.join(PROTOCOL_NUMBERS)}, arp)", 255)
            return lambda packet: any(layer.protocol == wanted for layer in _layers(packet))

        self.packet_tests += _tests(values, holds)


def endpoints(event: Event) -> tuple[int, int]:
    """(from, to) of an event: endpoint ids, 0 for what is no endpoint of this node."""
    match event:
        case Trace():
            return event.endpoint, 0 if event.point == names.TO_PROXY else event.destination
        case Drop():
            return event.endpoint, event.destination
        case Verdict():
            return (0, event.endpoint) if event.ingress else (event.endpoint, 0)
        case L7():
            sides = (event.record.get(f"{side}Endpoint", {}) for side in ("Source", "Destination"))
            source, destination = (side.get("ID", 0) for side in sides)
            return source, destination
        case Agent() | Recorder() | TraceSock():
            return 0, 0
    return event.endpoint, 0


def identities(event: Event) -> tuple[int, ...]:
    """(from, to) of an event; a verdict names the remote side only, wherever that is."""
    match event:
        case Trace() | Drop():
            return event.source_identity, event.destination_identity
        case Verdict():
            return (event.remote_identity, -1) if event.ingress else (-1, event.remote_identity)
    return ()


def addresses(packet: Packet) -> tuple[bytes, bytes]:
    if packet.arp is not None:
        return packet.arp.sender, packet.arp.target
    return packet.source, packet.destination


def outcome(event: Event) -> str:
    """What became of the packet: one of VERDICTS, or "" if the event does not say."""
    match event:
        case Drop():
            return "dropped"
        case Trace():
            return "redirected" if event.point == names.TO_PROXY else "forwarded"
        case Verdict():
            return _ACTIONS[event.action]
    return ""


def drop_reason(event: Event) -> int:
    """Why the packet was dropped, 0 if it was not."""
    match event:
        case Drop():
            return event.reason
        case Verdict():
            return -event.verdict if event.verdict < 0 else 0
    return 0


def _layers(packet: Packet) -> tuple[Packet, ...]:
    return (packet,) if packet.inner is None else (packet, *_layers(packet.inner))


def _sides(pair: tuple[T, ...], side: str) -> tuple[T, ...]:
    return {"from": pair[:1], "to": pair[1:]}.get(side, pair)


def _split(values: Iterable[str]) -> tuple[list[str], list[str]]:
    """(values, negated values without their mark)."""
    plain: list[str] = []
    negated: list[str] = []
    for value in values:
        if value.startswith("!"):
            negated.append(value[1:])
        else:
            plain.append(value)
    return plain, negated


def _tests(values: Iterable[str], holds: Callable[[str], Callable[[T], bool]]) -> list[Callable[[T], bool]]:
    """One test that some value holds, and one for each negated value that it does not."""
    plain, negated = _split(values)
    wanted = [holds(value) for value in plain]
    tests = [_none(holds(value)) for value in negated]
    return [*([_any(wanted)] if wanted else []), *tests]


def _any(tests: Sequence[Callable[[T], bool]]) -> Callable[[T], bool]:
    return tests[0] if len(tests) == 1 else lambda subject: any(test(subject) for test in tests)


def _none(test: Callable[[T], bool]) -> Callable[[T], bool]:
    return lambda subject: not test(subject)


def _kind(value: str) -> int:
    if value not in names.KINDS:
        raise WrongUsage(f"--type {value}: no such type", f"one of {', '.join(names.KINDS)}")
    return names.KINDS[value]


def _reason(value: str) -> int:
    if value.isdecimal():
        return number(value, "a drop reason", 255)
    found = _BY_NAME.get(value.lower())
    if found is None:
        from difflib import get_close_matches

        close = get_close_matches(value.lower(), _BY_NAME, 1, 0.4)
        raise WrongUsage(
            f"--drop-reason {value}: no such reason",
            f"did you mean {names.REASONS[_BY_NAME[close[0]]]!r}?" if close else "give its words or its number",
        )
    return found
