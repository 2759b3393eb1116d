"""Events as lines: Cilium's text at each verbosity, our JSON, and the JSON of cilium-dbg."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from cilium_py.errors import WrongUsage
from cilium_py.monitor.clock import clock, utc
from cilium_py.monitor.compat import CompatJson
from cilium_py.monitor.dissect import Dissector
from cilium_py.monitor.events import decode, packet_of
from cilium_py.monitor.jsonl import JsonLines
from cilium_py.monitor.labels import Names
from cilium_py.monitor.layers import hex_dump, lines
from cilium_py.monitor.text import DEBUG, SEPARATOR, SUMMARY, VERBOSE, Text
from tests.unit.monitor.packets import (
    arp,
    capture,
    debug,
    drop,
    ether,
    icmp,
    ipv4,
    ipv6,
    sctp,
    tcp,
    trace,
    udp,
    verdict,
    vxlan,
)  # fmt: skip

WEB = ("k8s:app=web",)
MOMENT = 1_795_443_359_000_000_007


def names() -> Names:
    return Names(_labels={256: WEB}, _interfaces={5: "lxc5"}, _missing=False)


def said(data: bytes, **options: object) -> str:
    event = decode(data)
    packet = packet_of(event, data, Dissector())
    return Text(names(), **options).write(MOMENT, 1, event, packet, data)  # type: ignore[arg-type]


ENDS = "10.0.0.1:40000 -> 10.0.0.2:80 tcp SYN"


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    line: str
    options: dict[str, object] = field(default_factory=dict)


CASES = [
    Case("drop", drop(), "xx drop (Policy denied) flow 0xabc to endpoint 0, ifindex 3, file bpf_lxc.c:99, "
         f", identity 256(k8s:app=web)->world: {ENDS}"),
    Case("drop, as Cilium says it", drop(), "xx drop (Policy denied) flow 0xabc to endpoint 0, ifindex 3, "
         f"file bpf_lxc.c:99, , identity 256->world: {ENDS}", {"plain": True}),
    Case("drop, numbers", drop(), "xx drop (Policy denied) flow 0xabc to endpoint 0, ifindex 3, file bpf_lxc.c:99, "
         f", identity 256->2: {ENDS}", {"numeric": True}),
    Case("drop with a detail", drop(reason=169, detail=7),
         "xx drop (FIB lookup failed, 7) flow 0xabc to endpoint 0, ifindex 3, file bpf_lxc.c:99, "
         f", identity 256->2: {ENDS}", {"numeric": True}),
    Case("drop for an unknown reason", drop(reason=250), "xx drop (250, 0) flow 0xabc to endpoint 0, ifindex 3, "
         f"file bpf_lxc.c:99, , identity 256->2: {ENDS}", {"numeric": True}),
    Case("from an endpoint", trace(point=5),
         f"<- endpoint 11 flow 0xabc , identity 256->2 state new ifindex 0 orig-ip 0.0.0.0: {ENDS}", {"numeric": True}),
    Case("to an endpoint, with its interface", trace(point=0, to=12, ifindex=5, reason=1),
         f"-> endpoint 12 flow 0xabc , identity 256->world state established ifindex lxc5 orig-ip 0.0.0.0: {ENDS}",
         {"plain": True}),
    Case("to the proxy", trace(point=1, to=10080),
         f"-> proxy port 10080 flow 0xabc , identity 256->2 state new ifindex 0 orig-ip 0.0.0.0: {ENDS}",
         {"numeric": True}),
    Case("to the host", trace(point=2),
         f"-> host from flow 0xabc , identity 256->2 state new ifindex 0 orig-ip 0.0.0.0: {ENDS}", {"numeric": True}),
    Case("to the network, translated and encrypted",
         trace(point=11, reason=0x82, original=IPv4Address("10.9.9.9").packed + bytes(12)),
         f"-> network encrypted  flow 0xabc , identity 256->2 state reply ifindex 0 orig-ip 10.9.9.9: {ENDS}",
         {"numeric": True}),
    Case("at an unknown point", trace(point=99),
         f"unknown trace flow 0xabc , identity 256->2 state new ifindex 0 orig-ip 0.0.0.0: {ENDS}", {"numeric": True}),
    Case("with a trace id", trace(version=2, trace_id=7),
         f"<- endpoint 11 flow 0xabc , identity 256->2 [ ip-trace-id = 7 ] state new ifindex 0 orig-ip 0.0.0.0: {ENDS}",
         {"numeric": True}),
    Case("verdict", verdict(verdict=-133, flags=1), "Policy verdict log: flow 0xabc local EP ID 11, remote ID world, "
         f"proto 6, ingress, action deny, auth: disabled, match none, {ENDS}"),
    Case("allowed verdict", verdict(remote=256, flags=2 | 2 << 3, authentication=1),
         "Policy verdict log: flow 0xabc local EP ID 11, remote ID 256(k8s:app=web), proto 6, egress, action allow, "
         f"auth: spire, match L3-L4, {ENDS}"),
    Case("audited verdict", verdict(verdict=-133, flags=0x42), "Policy verdict log: flow 0xabc local EP ID 11, "
         f"remote ID world, proto 6, egress, action audit, auth: disabled, match none, {ENDS}"),
    Case("debug message, not asked for", debug(18, 1, 2), ""),
    Case("debug message", debug(18, 1, 2), "CPU 01: MARK 0xabc FROM 11 DEBUG: BPF function 1 returned error 2",
         {"verbosity": DEBUG}),
    Case("capture", capture(4, 5), f"-> lxc5: {ENDS}"),
    Case("capture without a short form", capture(10, 5), ""),
    Case("recorder", bytes([6, 1, 7, 0]) + bytes(4) + struct.pack("=QII", 9, 42, 60) + ether(arp(), 0x0806),
         "Recorder capture: dir:ingress rule:7 ts:9 caplen:42 len:60\n"
         "00000000  02 00 00 00 00 02 02 00  00 00 00 01 08 06 00 01  |................|\n"
         "00000010  08 00 06 04 00 01 02 00  00 00 00 01 0a 00 00 01  |................|\n"
         "00000020  00 00 00 00 00 00 0a 00  00 02                    |..........|\n----", {"hexadecimal": True}),
    Case("socket", bytes([7, 2, 10, 0, 0, 1]) + bytes(12) + struct.pack("=HQQBB", 80, 5, 6, 1, 0),
         "CPU 01: [post-xlate-fwd] cgroup_id: 6 sock_cookie: 5, dst [10.0.0.1]:80 tcp", {"verbosity": DEBUG}),
    Case("with its time", verdict(verdict=-133, flags=1), "2026-11-23T14:15:59.000000007Z Policy verdict log: "
         "flow 0xabc local EP ID 11, remote ID world, proto 6, ingress, action deny, auth: disabled, match none, "
         f"{ENDS}", {"clock": utc()}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_line(case: Case) -> None:
    assert said(case.data, **case.options) == (f"{case.line}\n" if case.line else "")


def test_verbose() -> None:
    assert said(trace(point=0, to=12, ifindex=5), verbosity=VERBOSE, plain=True).splitlines()[:3] == [
        SEPARATOR,
        "CPU 01: MARK 0xabc FROM 11 to-endpoint: 1054 bytes (54 captured), state new, interface lxc5, "
        ", identity 256->world, orig-ip 0.0.0.0, to endpoint 12",
        "Ethernet\t{Contents=[..14..] Payload=[..40..] SrcMAC=02:00:00:00:00:01 DstMAC=02:00:00:00:00:02 "
        "EthernetType=IPv4 Length=0}",
    ]
    assert said(drop(to=9), verbosity=VERBOSE, plain=True).splitlines()[1] == (
        "CPU 01: MARK 0xabc FROM 11 DROP: 1054 bytes, reason Policy denied, identity 256->world, to endpoint 9"
    )
    assert said(capture(4, 5), verbosity=VERBOSE).splitlines()[1] == (
        "CPU 01: MARK 0xabc FROM 11 DEBUG: 1054 bytes, Delivery to ifindex 5"
    )


def test_layers() -> None:
    options = struct.pack(">BBHBBBB", 2, 4, 1460, 1, 3, 3, 7)
    segment = tcp()[:12] + b"\x70" + tcp()[13:] + options + b"data"
    assert lines(ether(ipv4(segment, 6), vlan=5))[1:] == [
        "Dot1Q\t{Contents=[0, 5, 8, 0] Payload=[..52..] Priority=0 DropEligible=false VLANIdentifier=5 Type=IPv4}",
        "IPv4\t{Contents=[..20..] Payload=[..32..] Version=4 IHL=5 TOS=0 Length=52 Id=1 Flags= FragOffset=0 TTL=64 "
        "Protocol=TCP Checksum=0 SrcIP=10.0.0.1 DstIP=10.0.0.2 Options=[] Padding=[]}",
        "TCP\t{Contents=[..28..] Payload=[100, 97, 116, 97] SrcPort=40000 DstPort=80 Seq=1 Ack=0 DataOffset=7 "
        "FIN=false SYN=true RST=false PSH=false ACK=false URG=false ECE=false CWR=false NS=false Window=64240 "
        "Checksum=0 Urgent=0 Options=[TCPOption(MSS: 0x05b4), TCPOption(NOP:), TCPOption(WindowScale: 0x07)] "
        "Padding=[]}",
    ]
    names_of = [line.partition("\t")[0] for line in lines(ether(ipv4(vxlan(ether(ipv6(icmp(128), 58), 0x86DD)), 17)))]
    assert names_of == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv6", "ICMPv6"]
    assert [line.partition("\t")[0] for line in lines(ether(ipv4(sctp(), 132)))][-1] == "SCTP"
    assert lines(ether(ipv4(udp()[:2], 17)))[-1] == "  Packet has been truncated: udp"


def test_layers_cut_at_every_byte() -> None:
    for frame in (ether(ipv4(vxlan(ether(ipv4(tcp(), 6))), 17)), ether(ipv6(b"\x06" + bytes(7) + tcp(), 0), 0x86DD)):
        for length in range(len(frame)):
            lines(frame[:length])


def test_hex_dump() -> None:
    assert hex_dump(b"0123456789abcdef\x00") == [
        "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000010  00                                                |.|",
    ]


@pytest.mark.parametrize(("subtype", "sentence"), [
    (2, "Attempting local delivery for container id 1 from seclabel 2"),
    (4, "Local container found ifindex 1 seclabel 512"),
    (15, "CT verdict: Established, revnat=512"),
    (48, "Conntrack lookup 1/2: src=1.0.0.0:3 dst=2.0.0.0:0"),
    (63, "Socket lookup: src=[::100:0]:3 dst=[::200:0]:0"),
    (64, "Socket assign: Operation not permitted"),
    (200, "Unknown message type=200 arg1=1 arg2=2"),
])  # fmt: skip
def test_debug_sentences(subtype: int, sentence: str) -> None:
    assert said(debug(subtype, 1, 2, 3), verbosity=DEBUG) == f"CPU 01: MARK 0xabc FROM 11 DEBUG: {sentence}\n"


def test_every_debug_sentence_can_be_said() -> None:
    for subtype in range(256):
        for argument in (0, 1, 0xFFFFFFFF):
            assert said(debug(subtype, argument, argument, argument), verbosity=DEBUG)
            assert said(capture(subtype, argument), verbosity=SUMMARY) is not None


def in_json(data: bytes, write: Callable[..., str] | None = None) -> dict[str, object]:
    event = decode(data)
    packet = packet_of(event, data, Dissector())
    line = (write or JsonLines(names()).write)(MOMENT, 1, event, packet, data)
    assert line.endswith("}\n")
    found: dict[str, object] = json.loads(line)
    return found


def test_trace_in_json() -> None:
    found = in_json(
        trace(point=1, to=10080, reason=0x80, ifindex=5, original=IPv4Address("10.9.9.9").packed + bytes(12))
    )
    packet = found.pop("packet")
    assert isinstance(packet, dict)
    assert packet["tcp"] == {"source_port": 40000, "destination_port": 80, "flags": ["SYN"]}
    assert found == {
        "time": "2026-11-23T14:15:59.000000007Z", "cpu": 1, "type": "trace", "point": "to-proxy", "endpoint": 11,
        "destination_endpoint": 0, "proxy_port": 10080, "state": "new", "encrypted": True,
        "original_source": "10.9.9.9", "trace_id": 0, "ifindex": 5, "interface": "lxc5", "source_identity": 256,
        "source_labels": ["k8s:app=web"], "destination_identity": 2, "destination_labels": ["reserved:world"],
        "hash": 0xABC, "bytes": 1054, "captured": 54,
    }  # fmt: skip


def test_drop_in_json() -> None:
    found = in_json(drop(reason=169, detail=-3))
    assert (found["type"], found["reason"], found["reason_text"], found["detail"]) == (
        "drop",
        169,
        "FIB lookup failed",
        -3,
    )
    assert (found["file"], found["line"], found["ifindex"]) == ("bpf_lxc.c", 99, 3)


def test_verdict_in_json() -> None:
    found = in_json(verdict(verdict=-133, flags=1 | 1 << 3, cookie=3))
    assert (found["direction"], found["action"], found["match"], found["verdict"]) == (
        "ingress",
        "deny",
        "L3-Only",
        -133,
    )
    assert (found["remote_labels"], found["cookie"]) == (["reserved:world"], 3)


def test_numeric_json_has_no_names() -> None:
    found = in_json(trace(ifindex=5), JsonLines(names(), numeric=True).write)
    assert "interface" not in found
    assert "source_labels" not in found


def test_names_that_come_later_are_used() -> None:
    known = names()
    writer = JsonLines(known)
    assert in_json(trace(source=257), writer.write)["source_labels"] == []
    known._labels[257] = ("k8s:app=late",)
    writer.forget()
    assert in_json(trace(source=257), writer.write)["source_labels"] == ["k8s:app=late"]


def test_unknown_form() -> None:
    line = json.loads(JsonLines(names()).unknown(MOMENT, 2, "type 99 is not known", b"\x63\x01"))
    assert (line["type"], line["cpu"], line["data"]) == ("unknown", 2, "6301")


def test_compat_json() -> None:
    data = drop(to=9, detail=-3)
    event = decode(data)
    line = CompatJson(names()).write(MOMENT, 1, event, packet_of(event, data, Dissector()), data)
    assert line.startswith(
        '{"cpu":"CPU 01:","type":"drop","mark":"0xabc","reason":"Policy denied, -3","source":11,"bytes":1054,'
        '"srcLabel":256,"dstLabel":2,"dstID":9,"Line":99,"File":2,"ExtError":-3,"Ifindex":3,"summary":{"ethernet":'
        '"Ethernet\\t{Contents=[..14..] '
    )
    assert line.endswith(
        '"l2":{"src":"02:00:00:00:00:01","dst":"02:00:00:00:00:02"},"l3":{"src":"10.0.0.1","dst":"10.0.0.2"},'
        '"l4":{"src":"40000","dst":"80"}}}\n'
    )
    found = in_json(trace(point=0, to=12, ifindex=5), CompatJson(names()).write)
    assert (found["traceSummary"], found["observationPoint"], found["ifindex"]) == (
        "-> endpoint 12",
        "to-endpoint",
        "lxc5",
    )
    assert in_json(debug(18, 1, 2), CompatJson(names()).write) == {
        "cpu": "CPU 01:", "type": "debug", "message": "BPF function 1 returned error 2",
    }  # fmt: skip
    data = trace(point=0, to=12)
    event = decode(data)
    assert "-\\u003e endpoint 12" in CompatJson(names()).write(MOMENT, 1, event, None, data)


def test_clocks() -> None:
    assert clock("unix", 0)(MOMENT) == "1795443359.000000007"
    assert clock("relative", MOMENT - 1_500_000_000)(MOMENT) == "+1.500000"
    assert clock("utc", 0)(MOMENT) == "2026-11-23T14:15:59.000000007Z"
    assert clock("%Y", 0)(MOMENT) == "2026"
    with pytest.raises(WrongUsage):
        clock("noon", 0)


def test_the_time_stands_before_the_words_and_not_before_the_rule() -> None:
    rule, words = said(drop(), verbosity=VERBOSE, clock=utc()).splitlines()[:2]
    assert rule == SEPARATOR
    assert words.startswith("2026-11-23T14:15:59.000000007Z CPU 01: MARK")
