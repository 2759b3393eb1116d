"""Decoded values of recorded maps, held against the texts that Cilium's agent has for the same entries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cilium_py.cli.bpf import definitions
from cilium_py.schema import Pair
from cilium_py.schema.struct import swap
from cilium_py.schema.text import go_ip, ip, mac, parse_ip
from cilium_py.schema.timestamp import local_time
from tests.conftest import CHECKOUT

CORPUS = Path(os.environ.get("CILIUM_PY_SHARED", CHECKOUT.parent / "shared")) / "golden"
Said = Callable[[Pair], tuple[str, str]]


def numbers(packed: bytes) -> str:
    return f"[{' '.join(map(str, packed))}]"


def int16(number: int) -> int:
    return (number + 0x8000) % 0x10000 - 0x8000


def network(prefix: tuple[bytes, int]) -> str:
    return f"{go_ip(prefix[0])}/{prefix[1]}"


def quoted_rune(number: int) -> str:
    """How Go's %q shows a number."""
    return f"'{chr(number)}'" if chr(number).isprintable() else f"'\\x{number:02x}'"


def auth(pair: Pair) -> tuple[str, str]:
    local, remote, node, kind, _, expires_ns = pair.row
    key = f"localIdentity={local}, remoteIdentity={remote}, remoteNodeID={node}, authType={kind}"
    return key, f'expiration="{local_time(expires_ns)}"'


def affinity(pair: Pair) -> tuple[str, str]:
    row = pair.row
    if len(pair.key.client_id) == 16:
        address = row.netns_cookie.to_bytes(8, "little") + bytes(8) if row.netns_cookie else parse_ip(row.client)
        client = numbers(address)
    else:
        client = str(row.netns_cookie or int.from_bytes(parse_ip(row.client), "little"))
    by_cookie = int(not row.client)
    return f"{client} {by_cookie} {swap(row.rev_nat, 2)}", f"{row.backend_id} {row.last_used_ns}"


def capture(pair: Pair) -> tuple[str, str]:
    key, value = pair.row[:7], pair.row[7:]
    source, source_bits, source_port, destination, destination_bits, destination_port, protocol = key
    ends = [f"{go_ip(source)}/{source_bits}", f"{go_ip(destination)}/{destination_bits}"]
    if len(source) == 16:
        ends = [f"[{end}]" for end in ends]
    said = f"{ends[0]}:{source_port} -> {ends[1]}:{destination_port} {protocol} \n"
    return said, f"ID:{value[0]} CapLen:{value[1]}\n"


def nat(pair: Pair) -> tuple[str, str]:
    """Ports are as they lie in memory."""
    row = pair.row
    source, destination = go_ip(row.source), go_ip(row.destination)
    if len(row.source) == 16:
        source, destination = f"[{source}]", f"[{destination}]"
    key = (
        f"{source}:{swap(row.source_port, 2)} --> {destination}:{swap(row.destination_port, 2)},"
        f" {pair.key.nexthdr}, {pair.key.flags}"
    )
    value = f"Addr={go_ip(row.to)} Port={swap(row.to_port, 2)} Created={row.created} NeedsCT={row.needs_ct}\n"
    return key, value


def skip_lb(pair: Pair) -> tuple[str, str]:
    return f"[{pair.row.netns_cookie}]:{numbers(pair.row.address)}, {swap(pair.row.port, 2)}", ""


def socket_nat(pair: Pair) -> tuple[str, str]:
    """Its ports are signed, and as they lie in memory."""
    row = pair.row
    key = f"[{go_ip(row.backend)}]:{int16(swap(row.backend_port, 2))}, {row.socket_cookie}"
    return key, f"[{go_ip(row.frontend)}]:{int16(swap(row.frontend_port, 2))}, {swap(row.rev_nat, 2)}"


def tunnel(pair: Pair) -> tuple[str, str]:
    if pair.key.family not in (1, 2):
        return "nil", "nil"
    row = pair.row
    cluster = f"@{row.cluster}" if row.cluster else ""
    return f"{go_ip(row.address)}{cluster}", f"{go_ip(row.tunnel_endpoint)}:{row.encrypt_key}"


def egress(pair: Pair) -> tuple[str, str]:
    row = pair.row
    return f"{go_ip(row.source)} {network(row.destination)}", f"{ip(row.gateway)} {ip(row.egress_ip)}"


def l2_responder(pair: Pair) -> tuple[str, str]:
    row = pair.row
    return f"ip={ip(row.address)}, ifIndex={row.ifindex}", f"responses_sent={quoted_rune(row.responses)}"


def srv6_policy(pair: Pair) -> tuple[str, str]:
    row = pair.row
    return f"vrfid={row.vrf}, destCIDR={network(row.destination)}", f"sid={go_ip(row.sid)}"


def srv6_vrf(pair: Pair) -> tuple[str, str]:
    row = pair.row
    return f"srcip={go_ip(row.source)}, destCIDR={network(row.destination)}", f"vrfid={row.vrf}"


def as_command(pair: Pair) -> tuple[str, str]:
    """The agent says what cilium-dbg prints."""
    definition = next(d for d in definitions() if d.row is type(pair.row))
    assert definition.compat is not None
    key, value = definition.compat.entry(pair)  # type: ignore[union-attr]  # a GoTable
    return key, value


SAID: dict[str, Said] = {
    "cilium_auth_map": auth,
    "cilium_capture4_rules": capture,
    "cilium_capture6_rules": capture,
    "cilium_egress_gw_policy_v4": egress,
    "cilium_egress_gw_policy_v6": egress,
    "cilium_ipmasq_v4": lambda p: (ip(p.row.prefix[0]), ""),
    "cilium_ipmasq_v6": lambda p: (ip(p.row.prefix[0]), ""),
    "cilium_l2_responder_v4": l2_responder,
    "cilium_lb4_affinity": affinity,
    "cilium_lb6_affinity": affinity,
    "cilium_lb4_backends_v3": as_command,
    "cilium_lb6_backends_v3": as_command,
    "cilium_lb4_reverse_nat": as_command,
    "cilium_lb6_reverse_nat": as_command,
    "cilium_lb4_reverse_sk": socket_nat,
    "cilium_lb6_reverse_sk": socket_nat,
    "cilium_lb4_services_v2": as_command,
    "cilium_lb6_services_v2": as_command,
    "cilium_lb4_source_range": as_command,
    "cilium_lb6_source_range": as_command,
    "cilium_lb_act": lambda p: (f"{p.row.rev_nat}[]", f"+{p.row.opened} -{p.row.closed}"),
    "cilium_lb_affinity_match": lambda p: (f"{p.row.backend_id} {p.row.rev_nat}", ""),
    "cilium_nodeport_neigh4": lambda p: (ip(p.row.address), mac(p.row.mac)),
    "cilium_nodeport_neigh6": lambda p: (ip(p.row.address), mac(p.row.mac)),
    "cilium_ratelimit": lambda p: (str(p.key.usage), f"{p.row.last_topup_ns} {p.row.tokens}"),
    "cilium_ratelimit_metrics": lambda p: (str(p.key.usage), str(p.row.dropped)),
    "cilium_skip_lb4": skip_lb,
    "cilium_skip_lb6": skip_lb,
    "cilium_snat_v4_external": nat,
    "cilium_snat_v6_external": nat,
    "cilium_srv6_policy_v4": srv6_policy,
    "cilium_srv6_policy_v6": srv6_policy,
    "cilium_srv6_sid": lambda p: (f"sid={go_ip(p.row.sid)}", f"vrfid={p.row.vrf}"),
    "cilium_srv6_vrf_v4": srv6_vrf,
    "cilium_srv6_vrf_v6": srv6_vrf,
    "cilium_throttle": as_command,
    "cilium_tunnel_map": tunnel,
    "cilium_vtep_map": as_command,
}


def recorded(pin: str) -> Iterator[Pair]:
    spec = json.loads((CORPUS / "maps" / f"{pin}.json").read_text())
    sizes = spec["key_size"], spec["value_size"]
    source = next(s for d in definitions() for s in d.sources if s.pin == pin)
    layout = next(each for each in source.layouts if (each.key.size, each.value.size) == sizes)
    for key_hex, value_hex in spec["entries"]:
        key, value = layout.key.unpack(bytes.fromhex(key_hex)), layout.value.unpack(bytes.fromhex(value_hex))
        yield Pair(key, value, layout.decode(key, value))


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("pin", SAID)
def test_says_what_the_agent_says(pin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    expected = sorted(map(tuple, json.loads((CORPUS / "gostrings.json").read_text())[pin]))
    assert sorted(map(SAID[pin], recorded(pin))) == expected
