"""Commands that read several maps, one of them of no known shape: the rest is shown, and what was left out is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.cli.main import main
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.maps import ct, lb_backends, lb_services, nat, nodeid, policy
from cilium_py.schema import Struct

Call = Callable[..., tuple[int, str, str]]
V4, V6 = bytes([10, 0, 0, 1]), bytes(15) + b"\1"


class Pinned(NamedTuple):
    """A map with one entry."""

    name: str
    key: Struct
    value: Struct
    type: MapType = MapType.HASH


CONNECTION = Pinned(
    "cilium_ct4_global", ct.Key4(daddr=V4, saddr=V4, dport=80, sport=1, nexthdr=6, flags=0), ct.Entry(packets=1)
)
TRANSLATION = Pinned("cilium_snat_v4_external", nat.Key4(saddr=V4, daddr=V4, nexthdr=6), nat.Entry4(to_saddr=V4))
SERVICE = Pinned("cilium_lb4_services_v2", lb_services.Key4(address=V4, dport=80, backend_slot=1, proto=6),
                 lb_services.Service(backend_id=1))  # fmt: skip
BACKEND = Pinned(
    "cilium_lb4_backends_v3", lb_backends.Key(value=1), lb_backends.Backend4(address=V4, port=8080, proto=6)
)
ALLOWED = Pinned("cilium_policy_v2_00042", policy.Key(prefixlen=40), policy.Entry(), MapType.LPM_TRIE)


@pytest.fixture
def call(bpffs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """(exit code, stdout, stderr) of a command on the node of this test."""

    def called(*words: str) -> tuple[int, str, str]:
        node = [] if "--from" in words else ["--bpf-root", str(bpffs), "--state-dir", str(tmp_path / "state")]
        with pytest.raises(SystemExit) as stop:
            main([*node, *words])
        assert isinstance(stop.value.code, int)
        return stop.value.code, *capfd.readouterr()

    return called


def pin(directory: Path, made_of: Pinned) -> None:
    name, key, value, type = made_of
    flags = BPF_F_NO_PREALLOC if type is MapType.LPM_TRIE else 0
    with BpfMap.create(
        name="made", type=type, key_size=key.size, value_size=value.size, max_entries=8, flags=flags
    ) as made:
        made.update(key.pack(), value.pack())
        made.pin(directory / name)


def pin_unknown(directory: Path, name: str) -> None:
    with BpfMap.create(name="made", type=MapType.HASH, key_size=3, value_size=5, max_entries=1) as made:
        made.pin(directory / name)


LEFT_OUT = [
    ("bpf ct list", CONNECTION, "cilium_ct6_global", "TCP OUT 10.0.0.1:1 -> 10.0.0.1:80 "),
    ("bpf ct list", CONNECTION, "cilium_ct_any4_global", "TCP OUT 10.0.0.1:1 -> 10.0.0.1:80 "),
    ("bpf ct list -o json", CONNECTION, "cilium_ct6_global", '"destination_port": 80'),
    ("bpf ct list -o yaml", CONNECTION, "cilium_ct_any6_global", "destination_port: 80"),
    ("bpf ct list --dport 80", CONNECTION, "cilium_ct6_global", "-> 10.0.0.1:80 "),
    ("bpf ct list --sort packets", CONNECTION, "cilium_ct6_global", "-> 10.0.0.1:80 "),
    ("bpf ct list --sort packets --limit 1", CONNECTION, "cilium_ct6_global", "-> 10.0.0.1:80 "),
    ("bpf ct list --stats", CONNECTION, "cilium_ct6_global", "protocol"),
    ("bpf ct list --count", CONNECTION, "cilium_ct6_global", "1\n"),
    ("bpf ct count", CONNECTION, "cilium_ct6_global", "1\n"),
    ("bpf ct flush --yes", CONNECTION, "cilium_ct6_global", "Flushed 1 entries"),
    ("bpf ct delete --dport 80 --yes", CONNECTION, "cilium_ct6_global", "Deleted 1 entries"),
    ("--compat bpf ct list global", CONNECTION, "cilium_ct6_global", "TCP OUT "),
    ("--compat bpf ct list global -o json", CONNECTION, "cilium_ct6_global", '"DestAddr"'),
    ("bpf nat list", TRANSLATION, "cilium_snat_v6_external", "XLATE_SRC"),
    ("bpf nat flush --dry-run", TRANSLATION, "cilium_snat_v6_external", "Would flush 1"),
    ("bpf lb backends list", BACKEND, "cilium_lb6_backends_v3", "10.0.0.1:8080"),
    ("bpf policy list", ALLOWED, "cilium_policy_v2_00007", "Endpoint ID: 42"),
    ("bpf policy list -o json", ALLOWED, "cilium_policy_v2_00007", '"endpoint": "42"'),
    ("bpf policy list --sort port", ALLOWED, "cilium_policy_v2_00007", "42 "),
    ("bpf policy get --all", ALLOWED, "cilium_policy_v2_00099", "Endpoint ID: 42"),
    ("bpf policy get --all -n -o csv", ALLOWED, "cilium_policy_v2_00099", "\n42,allow,"),
    ("bpf policy count", ALLOWED, "cilium_policy_v2_00007", "1\n"),
    ("--compat bpf policy get --all", ALLOWED, "cilium_policy_v2_00007", "Endpoint ID: 42"),
    ("--compat bpf policy list -o json", ALLOWED, "cilium_policy_v2_00099", '"EndpointID": "42"'),
]  # fmt: skip


@pytest.mark.parametrize(("words", "known", "unknown", "shown"), LEFT_OUT, ids=lambda value: str(value)[:40])
def test_the_rest_is_shown(words: str, known: Pinned, unknown: str, shown: str, pins: Path, call: Call) -> None:
    pin(pins, known)
    pin_unknown(pins, unknown)
    code, out, err = call(*words.split())
    assert (code, shown in out) == (3, True), (code, out, err)
    assert re.fullmatch(rf"error: left out: \S+/{unknown}: key and value are 3/5 bytes, known are .*\nhint: .*\n", err)


def test_services_whose_backends_are_not_all_known(pins: Path, call: Call) -> None:
    pin(pins, SERVICE)
    pin(pins, BACKEND)
    pin_unknown(pins, "cilium_lb6_backends_v3")
    for compat in ([], ["--compat"]):
        code, out, err = call(*compat, "bpf", "lb", "list")
        assert (code, "10.0.0.1:8080" in out) == (3, True)
        assert "left out: " in err


def test_nothing_that_is_known_is_a_refusal(pins: Path, call: Call) -> None:
    pin_unknown(pins, "cilium_ct6_global")
    pin_unknown(pins, "cilium_policy_v2_00042")
    for words in ("ct list", "ct list -o json", "ct count", "policy list", "policy get 42", "policy count"):
        code, out, err = call("bpf", *words.split())
        assert (code, out) == (1, ""), words
        assert "key and value are 3/5 bytes" in err


def test_what_an_unknown_map_replaces_is_not_shown_in_its_place(pins: Path, call: Call) -> None:
    pin_unknown(pins, "cilium_node_map_v2")
    pin(pins, Pinned("cilium_node_map", nodeid.Key(family=1), nodeid.ValueWithoutSpi(id=7)))
    code, out, err = call("bpf", "nodeid", "list")
    assert (code, out) == (1, "")
    assert "cilium_node_map_v2: key and value are 3/5 bytes" in err


def test_what_shows_every_map_needs_no_layout(pins: Path, call: Call, tmp_path: Path) -> None:
    pin(pins, CONNECTION)
    pin_unknown(pins, "cilium_ct6_global")
    code, out, _ = call("bpf", "map", "list", "-o", "json")
    assert (code, [row["layout"] for row in json.loads(out)]) == (0, ["1.18", "unknown"])
    saved = str(tmp_path / "node.snap")
    code, _, err = call("snapshot", "save", saved)
    assert code == 0, err
    code, out, err = call("--from", saved, "ct", "list")
    assert (code, "10.0.0.1:80" in out, "left out" in err) == (3, True, True)


JOINED = [
    ("flow list", "cilium_ct6_global", "10.0.0.1"),
    ("flow list", "cilium_ipcache_v2", "10.0.0.1"),
    ("flow list", "cilium_snat_v4_external", "10.0.0.1"),
    ("flow list -o json", "cilium_lxc", '"destination_port": 80'),
    ("ct list -o wide", "cilium_ipcache_v2", "10.0.0.1"),
    ("flow explain 10.0.0.1 10.0.0.1:80", "cilium_metrics", "10.0.0.1"),
    ("flow explain 10.0.0.1 10.0.0.1:80", "cilium_lb6_services_v2", "10.0.0.1"),
    ("nat doctor", "cilium_snat_v6_external", "cilium_snat_v4_external"),
    ("nat doctor", "cilium_ct4_global", "cilium_snat_v4_external"),
]


@pytest.mark.parametrize(("words", "unknown", "shown"), JOINED)
def test_what_is_joined_goes_without(words: str, unknown: str, shown: str, pins: Path, call: Call) -> None:
    for known in (CONNECTION, TRANSLATION, SERVICE, BACKEND):
        if known.name != unknown:
            pin(pins, known)
    pin_unknown(pins, unknown)
    code, out, err = call(*words.split())
    assert (code, shown in out) == (3, True), (out, err)
    assert re.match(rf"error: left out: \S+/{unknown}: key and value are 3/5 bytes, known are ", err)
