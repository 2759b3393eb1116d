"""Counters and notifications say where in the source they come from: files by number, the same in C and in Python."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from cilium_py.schema.reasons import FILES, OWN_FILES, source_file, source_file_of_1_18
from tests.prog.actors import CLIENT, REMOTE, SERVER, Node, egress, ingress
from tests.prog.datapath import CHECKOUT
from tests.prog.packets import ACK, SYN, UDP, ethernet, ipv4, ipv6, tcp, udp

SOURCES = CHECKOUT / "bpf_src"


def test_c_and_python_have_the_same_numbers() -> None:
    header = (SOURCES / "lib/source_files.h").read_text()
    listed = [(int(number), name) for number, name in re.findall(r'FILE\((\d+), "([^"]+)"\)', header)]
    assert listed == list({**FILES, **OWN_FILES}.items())
    assert all(number <= 200 for number in FILES)
    assert all(number > 200 for number in OWN_FILES)
    assert len({name for _, name in listed}) == len(listed)


def test_cilium_has_the_same_numbers(shared: Path) -> None:
    enums = json.loads((shared / "golden/layouts.json").read_text())["enums"]
    assert {int(number): name for number, name in enums["metric_file"].items()} == FILES


def test_cilium_does_not_know_ours() -> None:
    """It shows a number; what is its own keeps its name."""
    assert source_file(201) == "from_container.h"
    assert source_file_of_1_18("from_container.h") == "unknown(201)"
    assert source_file_of_1_18("trace.h") == "trace.h"


def lines_of(name: str) -> int:
    path = SOURCES / name if name.endswith(".c") else SOURCES / "lib" / name
    return len(path.read_text().splitlines())


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(CLIENT.ip, SERVER.ip, tcp(1000, 80, SYN)),
        ipv4(CLIENT.ip, SERVER.ip, udp(1000, 53).octets, protocol=UDP, more=True),
        ipv4(CLIENT.ip, REMOTE, tcp(1000, 80, ACK)),
        ipv4(SERVER.ip, CLIENT.ip, tcp(1000, 80, SYN)),
        ipv4(CLIENT.ip, SERVER.ip, b"", protocol=UDP, offset=8),
        ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53)),
        ipv6(CLIENT.ip6, SERVER.ip6, udp(1000, 53), next_header=59),
    ],
    ids=["delivered", "fragment", "away", "spoofed", "later fragment", "IPv6", "no next header"],
)
def test_every_count_and_drop_names_its_place(packet: bytes, node: Node) -> None:
    """A known file, and a line that it has."""
    node.allow(CLIENT, egress())
    node.allow(SERVER, ingress())
    outcome = node.send(CLIENT, ethernet(CLIENT.mac, CLIENT.router_mac, packet))
    places = [struct.unpack_from("<HB", key, 2) for key, _ in node.entries("cilium_metrics")]
    places += [struct.unpack_from("<HB", event, 28) for event in outcome.events if event[0] == 1]
    assert places
    for line, number in places:
        assert 0 < line <= lines_of(source_file(number))
