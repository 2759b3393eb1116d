"""Map families on real maps: layouts of older releases, pins that replace others, maps of maps, and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.errors import LayoutMismatch
from cilium_py.families import definitions
from cilium_py.libbpf.constants import BPF_F_NO_PREALLOC, MapType
from cilium_py.maps import (
    bandwidth,
    config,
    devices,
    egress,
    l2responder,
    lb_backends,
    lb_failed,
    lb_health,
    lb_maglev,
    lb_services,
    multicast,
    nat,
    nodeid,
    srv6_sid,
    srv6_state,
    subnet,
    tunnel,
    worldcidrs,
)
from cilium_py.schema import InnerMap, MapDef, Source
from cilium_py.table import Family, choose, with_inner
from tests.kernel.conftest import Said


class Case(NamedTuple):
    """One recorded entry (hex) of a map that some release had, and the row it means."""

    title: str
    definition: MapDef[Any]
    pin: str
    key: str
    value: str
    row: tuple[Any, ...]
    release: str | None = None
    type: MapType = MapType.HASH


V4 = bytes.fromhex("0a000001")
V6 = bytes.fromhex("fd000000000000000000000000000001")
PODS = "0a010000" + "00" * 12
NODE = "c0a80001" + "00" * 12
TRIE = MapType.LPM_TRIE
NAT_ENTRY = "64000000000000000100000000000000" + "00" * 16 + "0a0000019c400000"
CASES = [
    Case("tunnel since 1.15", tunnel.MAP, "cilium_tunnel_map", PODS + "01000500", NODE + "01070000",
         (bytes.fromhex("0a010000"), 5, bytes.fromhex("c0a80001"), 7, None)),
    Case("tunnel of 1.14", tunnel.MAP, "cilium_tunnel_map", PODS + "01050000", NODE + "01070900",
         (bytes.fromhex("0a010000"), 5, bytes.fromhex("c0a80001"), 7, 9), "1.14"),
    Case("tunnel up to 1.13", tunnel.MAP, "cilium_tunnel_map", PODS + "01000000", NODE + "01070000",
         (bytes.fromhex("0a010000"), None, bytes.fromhex("c0a80001"), 7, None), "1.12"),
    Case("bandwidth since 1.18", bandwidth.MAP, "cilium_throttle", "0700000001000000",
         "4000000000000000" + "00" * 16 + "05000000" + "00" * 28, (7, "Ingress", 5, 512)),
    Case("bandwidth of 1.17", bandwidth.MAP, "cilium_throttle", "0700000000000000",
         "4000000000000000" + "00" * 16 + "05000000" + "00" * 28, (7, "Egress", 5, 512), "1.17"),
    Case("bandwidth up to 1.16", bandwidth.MAP, "cilium_throttle", "0700000000000000",
         "4000000000000000" + "00" * 48, (7, "Egress", None, 512), "1.12"),
    Case("node map of 1.14", nodeid.MAP, "cilium_node_map", "00000001" + NODE, "3412",
         (0x1234, bytes.fromhex("c0a80001"), None)),
    Case("node map since 1.16, IPv6", nodeid.MAP, "cilium_node_map_v2", "00000002" + V6.hex(), "34120300",
         (0x1234, V6, 3)),
    Case("backends up to 1.13", lb_backends.MAP, "cilium_lb4_backends_v2", "05000000", "0a00000101bb0601",
         (5, V4, 443, "TCP", "terminating", None, None)),
    Case("IPv6 backends up to 1.13", lb_backends.MAP, "cilium_lb6_backends_v2", "05000000", V6.hex() + "01bb1100",
         (5, V6, 443, "UDP", "active", None, None)),
    Case("backends of 1.14", lb_backends.MAP, "cilium_lb4_backends_v3", "05000000", "0a00000101bb060302000000",
         (5, V4, 443, "TCP", "maintenance", 2, None), "1.14"),
    Case("backends of 1.15", lb_backends.MAP, "cilium_lb4_backends_v3", "05000000", "0a00000101bb060202010000",
         (5, V4, 443, "TCP", "quarantined", 258, None), "1.15"),
    Case("backends since 1.16", lb_backends.MAP, "cilium_lb4_backends_v3", "05000000", "0a00000101bb060902010400",
         (5, V4, 443, "TCP", "9", 258, 4)),
    Case("health checks up to 1.13", lb_health.MAP, "cilium_lb4_health", "0700000000000000", "0a00000101bb0601",
         (7, V4, 443, "TCP")),
    Case("health checks since 1.16, IPv6", lb_health.MAP, "cilium_lb6_health", "0700000000000000",
         V6.hex() + "01bb060302010400", (7, V6, 443, "TCP")),
    Case("failed connections", lb_failed.MAP, "cilium_lb_fct", "00070300", "05000000", (7, 3, 5)),
    Case("devices of 1.19", devices.MAP, "cilium_devices", "01000000", "020a00000001" + "00" * 10,
         (1, bytes.fromhex("020a000000010000"), False), None, MapType.ARRAY),
    Case("devices, a hash later", devices.MAP, "cilium_devices", "03000000", "00" * 8 + "01" + "00" * 7,
         (3, bytes(8), True)),
    Case("services up to 1.16", lb_services.MAP, "cilium_lb4_services_v2", "0a00000101bb010006010000",
         "05000000000000070000ffff",
         (V4, 443, "TCP", True, 1, 5, 0, None, 7, 0, [], 0, 0, 0), "1.12"),
    Case("egress of 1.18-dev, IPv6", egress.MAP, "cilium_egress_gw_policy_v6", "c0000000" + V6.hex() * 2,
         V6.hex() + "00000001" + "00" * 12, (V6, (V6, 64), V6, b"\0\0\0\1", "Excluded CIDR", None), None, TRIE),
    Case("egress since 1.18.0, IPv6", egress.MAP, "cilium_egress_gw_policy_v6", "c0000000" + V6.hex() * 2,
         V6.hex() + "0a000001" + "00" * 12 + "07000000" + "00" * 4, (V6, (V6, 64), V6, V4, "", 7), None, TRIE),
    Case("egress since 1.20", egress.MAP, "cilium_egress_gw_policy_v4_v2", "280000000a0000010b000000",
         "0a000001" + "00000000" + "00" * 12 + "07000000" + "00" * 4,
         (V4, (bytes.fromhex("0b000000"), 8), V4, bytes(4), "Not Found", 7), None, TRIE),
    Case("NAT since 1.14", nat.MAP, "cilium_snat_v4_external", "0a0000020a0000010035c3501100", NAT_ENTRY,
         ("UDP", "OUT", V4, 50000, bytes.fromhex("0a000002"), 53, False, False, V4, 40000, 100, 1, None, None)),
    Case("NAT up to 1.13", nat.MAP, "cilium_snat_v4_external", "0a0000020a0000010035c3501100", NAT_ENTRY,
         ("UDP", "OUT", V4, 50000, bytes.fromhex("0a000002"), 53, False, False, V4, 40000, 100, None, None, 1), "1.12"),
    Case("L2 responder, IPv6", l2responder.MAP, "cilium_l2_responder_v6", V6.hex() + "0300000000000000",
         "0900000000000000", (V6, 3, 9)),
    Case("SRv6 state", srv6_state.MAP, "cilium_srv6_state_v4", "0a0000010b000000", V6.hex() + "00" * 16,
         (V4, bytes.fromhex("0b000000"), V6, bytes(16))),
    Case("world CIDRs", worldcidrs.MAP, "cilium_world_cidrs4", "080000000b000000", "01",
         ((bytes.fromhex("0b000000"), 8),), None, TRIE),
    Case("subnets", subnet.MAP, "cilium_subnet_map", "30000000" + "00000001" + PODS, "0c000000",
         ((bytes.fromhex("0a010000"), 16), 12), None, TRIE),
]  # fmt: skip
SOURCES = [source for definition in definitions() for source in (*definition.sources, *definition.scoped)]


def make(path: Path, entries: dict[str, str], type: MapType = MapType.HASH, max_entries: int = 64) -> None:
    """Pin a map of these entries (hex), without BTF."""
    key, value = next((bytes.fromhex(k), bytes.fromhex(v)) for k, v in entries.items())
    flags = 0 if type is MapType.ARRAY else BPF_F_NO_PREALLOC
    with BpfMap.create(
        name="made", type=type, key_size=len(key), value_size=len(value), max_entries=max_entries, flags=flags
    ) as made:
        for key_hex, value_hex in entries.items():
            made.update(bytes.fromhex(key_hex), bytes.fromhex(value_hex))
        made.pin(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_an_entry_of_a_release(case: Case, pins: Path) -> None:
    make(pins / case.pin, {case.key: case.value}, case.type)
    assert list(Family(case.definition, pins, case.release).rows()) == [case.row]


def test_a_pin_that_replaces_another_is_read_alone(pins: Path) -> None:
    make(pins / "cilium_node_map", {"00000001" + NODE: "0100"})
    old = list(Family(nodeid.MAP, pins).rows())
    make(pins / "cilium_node_map_v2", {"00000001" + NODE: "01000700"})
    assert [row.spi for row in old] == [None]
    assert [row.spi for row in Family(nodeid.MAP, pins).rows()] == [7]


@pytest.mark.parametrize(
    "definition", [tunnel.MAP, bandwidth.MAP, lb_backends.MAP, egress.MAP], ids=lambda d: d.command
)
def test_another_size_is_refused_and_both_are_named(definition: MapDef[Any], pins: Path) -> None:
    source = definition.sources[0]
    sizes = source.layouts[0].key.size, source.layouts[0].value.size
    make(pins / source.pin, {"00" * (sizes[0] + 1): "00" * sizes[1]})
    with pytest.raises(LayoutMismatch, match=f"{sizes[0] + 1}/{sizes[1]} bytes.*{sizes[0]}/{sizes[1]}"):
        list(Family(definition, pins).rows())


def test_unused_places_of_an_array_are_no_rows(pins: Path) -> None:
    make(pins / "cilium_runtime_config", {"09000000": "05" + "00" * 7}, MapType.ARRAY)
    assert list(Family(config.MAP, pins).rows()) == [("9", 5), ("AgentLiveness", 0), ("UTimeOffset", 0)]
    make(pins / "cilium_devices", {"03000000": "020a00000001" + "00" * 10, "05000000": "00" * 8 + "01" + "00" * 7},
         MapType.ARRAY)  # fmt: skip
    assert [(row.ifindex, row.layer3) for row in Family(devices.MAP, pins).rows()] == [(3, False), (5, True)]


class Outer:
    """A pinned hash of maps whose inner maps are made on demand."""

    def __init__(self, path: Path, key_size: int, inner: dict[str, Any]) -> None:
        self.inner = inner
        with BpfMap.create(**inner) as model:
            self.map = BpfMap.create(
                name=path.name, type=MapType.HASH_OF_MAPS, key_size=key_size, value_size=4, max_entries=16, inner=model
            )
        self.map.pin(path)

    def put(self, key: str, entries: dict[str, str]) -> None:
        with BpfMap.create(**self.inner) as made:
            for key_hex, value_hex in entries.items():
                made.update(bytes.fromhex(key_hex), bytes.fromhex(value_hex))
            self.map.update_fd(bytes.fromhex(key), made)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


TABLE = {"name": "table", "type": MapType.ARRAY, "key_size": 4, "value_size": 12, "max_entries": 1}
SUBSCRIBERS = {
    "name": "subscribers", "type": MapType.HASH, "key_size": 4, "value_size": 12, "max_entries": 1024,
    "flags": BPF_F_NO_PREALLOC,
}  # fmt: skip


def test_tables_of_maglev(pins: Path, opened: ExitStack) -> None:
    outer = Outer(pins / "cilium_lb4_maglev", 2, TABLE)
    opened.callback(outer.map.close)
    outer.put("0102", {"00000000": "0100000002000000ffffffff"})
    outer.put("0001", {"00000000": "00" * 12})
    family = Family(lb_maglev.MAP, pins)
    assert list(family.rows()) == [(1, 4, [0, 0, 0]), (258, 4, [1, 2, 0xFFFFFFFF])]
    for table in family.tables():
        assert table.get(lb_maglev.Key(value=258)) == (258, 4, [1, 2, 0xFFFFFFFF])
        assert table.get(lb_maglev.Key(value=3)) is None


def test_a_plain_map_in_the_place_of_a_map_of_maps_is_refused(pins: Path, opened: ExitStack) -> None:
    make(pins / "cilium_lb4_maglev", {"0001": "01000000"})
    with pytest.raises(LayoutMismatch, match="of type hash, known by that name is hash_of_maps"):
        list(Family(lb_maglev.MAP, pins).rows())
    outer = Outer(pins / "cilium_srv6_sid", 16, TABLE)
    opened.callback(outer.map.close)
    with pytest.raises(LayoutMismatch, match="of type hash_of_maps, known by that name is hash or lru_hash"):
        list(Family(srv6_sid.MAP, pins).rows())


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.pin)
def test_another_kind_of_map_is_refused_and_both_are_named(source: Source[Any], bpffs: Path) -> None:
    """Of the right sizes, but with values for each CPU where there is one, or the reverse."""
    [first, *_] = source.layouts
    other = MapType.HASH if first.kind.per_cpu else MapType.PERCPU_HASH
    with BpfMap.create(
        name="made", type=other, key_size=first.key.size, value_size=first.value.size, max_entries=2
    ) as made:
        with pytest.raises(LayoutMismatch, match=f"type {other.name.lower()}, known by that name is {first.kind}"):
            choose(source, made, bpffs / source.pin)
        with pytest.raises(LayoutMismatch, match=f"type {other.name.lower()}, "):
            choose(source, made, bpffs / source.pin, first.release)


def test_subscribers_of_another_size_are_refused(pins: Path, opened: ExitStack) -> None:
    outer = Outer(pins / "cilium_mcast_group_outer_v4_map", 4, {**SUBSCRIBERS, "value_size": 16})
    opened.callback(outer.map.close)
    outer.put("e5000001", {"0a640001": "00" * 16})
    with pytest.raises(LayoutMismatch, match=r"229\.0\.0\.1: subscribers of 16 bytes, known are 12"):
        list(Family(multicast.MAP, pins).rows())


def test_an_inner_map_that_went_meanwhile_is_left_out() -> None:
    assert list(with_inner([(lb_maglev.Key(value=1), InnerMap(id=0x7FFFFFFF))], BpfMap.from_id)) == []


def test_groups_and_subscribers(pins: Path, opened: ExitStack, said: Said) -> None:
    outer = Outer(pins / "cilium_mcast_group_outer_v4_map", 4, SUBSCRIBERS)
    opened.callback(outer.map.close)
    assert said("multicast", "group", "add", "229.0.0.1")[0] == 0
    code, _, err = said("multicast", "group", "add", "229.0.0.1")
    assert (code, "there already" in err) == (1, True)
    outer.put("e5000002", {"0a640001": "0a6400010700000000000001", "0a640002": "0a640002" + "00" * 8})
    code, out, _ = said("multicast", "subscriber", "list", "all", "-o", "json")
    assert [(row["group"], row["subscriber"], row["remote"]) for row in json.loads(out)] == [
        ("229.0.0.2", "10.100.0.1", True), ("229.0.0.2", "10.100.0.2", False),
    ]  # fmt: skip
    assert said("multicast", "subscriber", "delete", "229.0.0.2", "10.100.0.1")[0] == 0
    assert said("multicast", "subscriber", "delete", "229.0.0.2", "10.100.0.1")[0] == 1
    assert said("multicast", "group", "delete", "229.0.0.2", "--dry-run")[0] == 0
    code, out, _ = said("multicast", "group", "list")
    assert out == "Group Address\n229.0.0.1\n229.0.0.2\n"
    assert said("multicast", "group", "delete", "229.0.0.2", "--yes")[0] == 0
    assert said("multicast", "subscriber", "list", "229.0.0.2")[0] == 1


def test_services_with_their_backends(pins: Path, said: Said) -> None:
    frontend, end = "0a60000101bb", "06000000"
    make(pins / "cilium_lb4_services_v2", {
        f"{frontend}0000{end}": "00000000" "0200" "0007" "4000" "0000",
        f"{frontend}0100{end}": "05000000" "0000" "0007" "0000" "0000",
        f"{frontend}0200{end}": "06000000" "0000" "0007" "0000" "0000",
    })  # fmt: skip
    make(pins / "cilium_lb4_backends_v3", {"05000000": "0a0000011f90060000000000"})
    code, out, _ = said("lb", "list")
    assert [line.split(None, 2)[2].rstrip() for line in out.splitlines()[1:]] == [
        "0.0.0.0:0 (7) (0) [ClusterIP]", "10.0.0.1:8080/TCP (7) (1)", "backend 6 not found",
    ]  # fmt: skip
    code, out, _ = said("lb", "list", "-o", "json")
    assert [row["backend_state"] for row in json.loads(out)] == ["", "active", "missing"]
    assert code == 0


def test_retries_are_set_to_zero(pins: Path, said: Said) -> None:
    path = pins / "cilium_snat_v4_alloc_retries"
    with BpfMap.create(name="retries", type=MapType.PERCPU_ARRAY, key_size=4, value_size=4, max_entries=33) as made:
        one = (1).to_bytes(4, "little")
        made.update_percpu(one, [one] * (made.value_room // made.slot_room))
        made.pin(path)
        assert said("nat", "retries", "flush", "--dry-run")[0] == 0
        assert any(made.lookup(one) or b"")
        code, out, _ = said("nat", "retries", "flush", "--yes")
        assert (code, out) == (0, f"Cleared 33 counters of {path}\n")
        assert not any(made.lookup(one) or b"")


def test_pressure_of_every_map(pins: Path, said: Said) -> None:
    make(pins / "cilium_vtep_map", {"0a010100": "00" * 16, "0a010200": "00" * 16}, max_entries=8)
    make(pins / "cilium_runtime_config", {"00000000": "00" * 8}, MapType.ARRAY)
    make(pins / "someone_elses", {"00": "00"})
    code, out, _ = said("map", "list", "-o", "json")
    found = {row["map"]: (row["used"], row["pressure"], row["layout"]) for row in json.loads(out)}
    assert found == {
        "cilium_vtep_map": (2, 0.25, "1.12"),
        "cilium_runtime_config": (64, None, "1.14"),
        "someone_elses": (1, 0.0156, ""),
    }
    assert code == 0


def test_a_hostile_name_of_a_pin_is_said_in_escapes(pins: Path, said: Said) -> None:
    make(pins / "red\x1b[31m\n\udcff", {"00": "00"})
    (pins / "directory").mkdir()
    code, out, _ = said("map", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["MAP", r"red\x1b[31m\n\udcff"]


def test_reading_leaves_no_trace(pins: Path, said: Said) -> None:
    for words in ("map list", "calls list", "lb list", "lb maglev list", "nat list", "socknat list", "config list"):
        said(*words.split())
    assert list(pins.iterdir()) == []
