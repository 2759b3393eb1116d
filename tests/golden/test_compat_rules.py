"""What cilium-dbg prints and does for values and words that the corpus has no case of, by the rules of its source."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.golden.node import Outcome, run

CORPUS = Path(os.environ.get("CILIUM_PY_SHARED", CHECKOUT.parent / "shared")) / "golden"
pytestmark = pytest.mark.usefixtures("as_root", "shared")

Entries = list[tuple[str, Any]]


@dataclass(frozen=True)
class Made:
    """A map that the corpus has, with these entries (in hex), and under another pin if one is named."""

    like: str
    entries: Entries
    other_pin: str = ""

    @property
    def pin(self) -> str:
        return self.other_pin or self.like.partition("~")[0]


@pytest.fixture
def compat(tmp_path: Path) -> Callable[..., Outcome]:
    """Run `cilium-py --compat bpf WORDS` on a node with maps of our own."""

    def runs(words: str | list[str], *maps: Made, **surroundings: Any) -> Outcome:
        (tmp_path / "maps").mkdir()
        (tmp_path / "load_golden.py").symlink_to(CORPUS / "load_golden.py")
        for each in maps:
            spec = json.loads((CORPUS / f"maps/{each.like}.json").read_text())
            spec |= {"pin": each.pin, "name": each.pin, "entries": each.entries}
            (tmp_path / f"maps/{each.pin}.json").write_text(json.dumps(spec))
        argv = ["--compat", "bpf", *(words.split() if isinstance(words, str) else words)]
        return run(tmp_path, [each.pin for each in maps], argv, surroundings)

    return runs


def policy(endpoint: str, entries: Entries) -> tuple[Made, Made]:
    statistics = Made("cilium_policystats~empty", [])
    return Made("cilium_policy_v2_00042~empty", entries, f"cilium_policy_v2_{endpoint}"), statistics


def policy_key(bits: int, identity: int, egress: int = 0, protocol: int = 0, port: int = 0) -> str:
    lengths = (40 + bits).to_bytes(4, "little") + identity.to_bytes(4, "little")
    return (lengths + bytes((egress, protocol)) + port.to_bytes(2, "big")).hex()


@pytest.mark.parametrize(
    ("key", "cell"),
    [
        pytest.param(policy_key(0, 1, protocol=6), "TCP", id="a protocol that is not matched is named"),
        pytest.param(policy_key(8, 1, protocol=0), "ANY", id="any protocol"),
        pytest.param(policy_key(9, 1, protocol=6, port=1), "1-32768/TCP", id="a range that is not aligned"),
        pytest.param(policy_key(9, 1, protocol=17, port=65535), "65535-32766/UDP", id="a sum in 16 bits"),
        pytest.param(policy_key(24, 1, protocol=112, port=1), "1/112", id="a protocol without a name"),
        pytest.param(policy_key(-1, 1), "<INVALID PREFIX LENGTH: 255>", id="too short a prefix"),
    ],
)
def test_ports_of_policy(compat: Callable[..., Outcome], key: str, cell: str) -> None:
    row = compat("policy get 7 -n", *policy("00007", [(key, "00" * 8)])).stdout.splitlines()[1]
    assert row.startswith(f"Allow    Ingress     1          {cell} ")


def test_endpoint_0_has_no_number(compat: Callable[..., Outcome]) -> None:
    assert compat("policy list", *policy("00000", [])).stdout.startswith("Endpoint ID: \nPath: /sys/fs/bpf/tc/globals/")


def test_endpoint_0_has_no_number_in_json(compat: Callable[..., Outcome]) -> None:
    document = json.loads(compat("policy list -o json", *policy("00000", [])).stdout)
    assert (document[0]["EndpointID"], document[0]["Content"]) == ("", [])


@pytest.mark.parametrize(
    ("word", "added"),
    [
        ("http-alt/tcp", policy_key(0, 1)),
        ("0x50/TCP", policy_key(0, 1)),
        ("0080/TCP", policy_key(24, 1, protocol=6, port=80)),
        ("", None),
        ("-http/TCP", None),
        ("a23456789012345-/TCP", None),
        ("/TCP", None),
    ],
)
def test_port_of_policy_add(compat: Callable[..., Outcome], word: str, added: str | None) -> None:
    outcome = compat(["policy", "add", "7", "ingress", "1", word], *policy("00007", []))
    changed = outcome.changes.get("cilium_policy_v2_00007", ([], []))
    assert [key for key, _ in changed[1]] == ([added] if added else [])
    assert (outcome.code == 0) == (added is not None)


CONFIG = "/run/cilium/state/agent-runtime-config.json"


def test_jiffies_are_counted_as_coarsely_as_times_of_entries(compat: Callable[..., Outcome]) -> None:
    made = Made("cilium_snat_v4_external~one", [("0a0000010a00000201bb00500600", (7).to_bytes(40, "little").hex())])
    config = json.dumps({"ClockSource": 1, "KernelHz": 100, "EnableIPv6": False})
    outcome = compat("nat list", made, schedstat=(1000 << 8) + 255, files={CONFIG: config})
    assert f"Created={(1000 << 8) // 100 - (7 << 8) // 100}sec ago" in outcome.stdout


def test_ipcache_get_warns_once_of_entries_with_one_text(compat: Callable[..., Outcome]) -> None:
    value = "05000000" + "00" * 20
    broken = [(f"20000000000000{family}0a000001" + "00" * 12, value) for family in ("06", "07")]
    whole = ("40000000" + "00000001" + "0a000001" + "00" * 12, value)
    outcome = compat("ipcache get 10.0.0.1", Made("cilium_ipcache_v2~plain", [*broken, whole]))
    lines = outcome.stdout.splitlines()
    assert [line.endswith("entry=<unknown>") for line in lines] == [True, False], outcome.stderr
    assert lines[1] == "10.0.0.1 maps to identity identity=5 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>"


MAPPED = "00" * 10 + "ffff" + "0a000000"


@pytest.mark.parametrize(
    ("words", "made", "line"),
    [
        (
            "lb list --source-ranges",
            Made("cilium_lb6_source_range", [("88000000" + "0007" + "0000" + MAPPED, "00")]),
            "10.0.0.0/8 (7)",
        ),
        (
            "lb list --source-ranges",
            Made("cilium_lb6_source_range", [("60000000" + "0007" + "0000" + MAPPED, "00")]),
            "10.0.0.0/0 (7)",
        ),
        (
            "lb list --source-ranges",
            Made("cilium_lb4_source_range", [("10000000" + "0007" + "0000" + "0a000000", "00")]),
            "<nil> (7)",
        ),
        (
            "srv6 policy",
            Made("cilium_srv6_policy_v6", [("98000000" + "05000000" + MAPPED, MAPPED)]),
            "5        10.0.0.0/24        10.0.0.0",
        ),
        (
            "srv6 vrf",
            Made("cilium_srv6_vrf_v6", [("08000000" + MAPPED + MAPPED, "05000000")]),
            "10.0.0.0    <nil>              5",
        ),
        (
            "egress list",
            Made("cilium_egress_gw_policy_v4", [("08000000" + "0a000001" * 2, "0a000001" * 2)]),
            "10.0.0.1    invalid Prefix     10.0.0.1    10.0.0.1",
        ),
    ],
)  # fmt: skip
def test_prefixes_that_are_none_or_ipv4_mapped(
    compat: Callable[..., Outcome], words: str, made: Made, line: str
) -> None:
    other = made.pin.replace("_v6", "_v4") if made.pin.startswith("cilium_srv6") else None
    maps = [made, Made(other, [])] if other else [made]
    assert compat(words, *maps).stdout.splitlines()[1].rstrip() == line


def test_metrics_of_one_name_are_added_in_64_bits(compat: Callable[..., Outcome]) -> None:
    values = [["ff" * 16], ["01000000000000000200000000000000"]]
    entries = [(f"000100000100{reserved}0000", value) for reserved, value in zip(("00", "01"), values, strict=True)]
    [metric] = json.loads(compat("metrics list -o json", Made("cilium_metrics~one", entries)).stdout)
    assert (metric["packets"], metric["bytes"]) == (0, 1)


@pytest.mark.parametrize("words", ["-D vtep list", "vtep list --debug", "-H unix:///x vtep list", "vtep --host=x list",
                                   "vtep list --config /x --log-driver syslog --log-opt a=b"])  # fmt: skip
def test_global_options_of_cilium_dbg_are_taken(compat: Callable[..., Outcome], words: str) -> None:
    made = Made("cilium_vtep_map", [("0a000100", "0200000000010000" + "0a000001" + "00000000")])
    assert compat(words, made).stdout.splitlines()[1].split() == [
        "10.0.1.0", "vtepmac=02:00:00:00:00:01", "tunnelendpoint=10.0.0.1",
    ]  # fmt: skip


@pytest.mark.parametrize("flag", ["-n", "-n=true", "-n=T", "--numeric=1", "-n=false"])
def test_flags_with_a_value(compat: Callable[..., Outcome], flag: str) -> None:
    title = "LABELS" if flag == "-n=false" else "IDENTITY"
    assert f"   {title} " in compat(f"policy get 7 {flag}", *policy("00007", [])).stdout


@pytest.mark.parametrize("mac", ["02:00:5e:10:00:0a", "02-00-5E-10-00-0A", "0200.5e10.000a"])
def test_every_form_of_a_mac(compat: Callable[..., Outcome], mac: str) -> None:
    outcome = compat(["vtep", "update", "10.1.2.3/24", "10.0.0.1", mac], Made("cilium_vtep_map", []))
    assert outcome.changes == {"cilium_vtep_map": ([], [["0a010200", "02005e10000a00000a00000100000000"]])}


@pytest.mark.parametrize(
    ("words", "first", "usage"),
    [
        ("nat", "NAT mapping tables", "cilium-dbg bpf nat [command]"),
        ("nat doctor", "NAT mapping tables", "cilium-dbg bpf nat [command]"),
        ("nat retries", "Histogram of retries", "cilium-dbg bpf nat retries [command]"),
        ("nodeid ls", "Manage the node IDs", "cilium-dbg bpf nodeid [command]"),
        ("lb services", "Load-balancing configuration", "cilium-dbg bpf lb [command]"),
        ("fragments", "Manage the IPv4 datagram fragments", "cilium-dbg bpf frag [command]"),
        ("mcast sub", "Manage the multicast subscribers.", "cilium-dbg bpf multicast subscriber [command]"),
        ("multicast group del", None, ""),
        ("vtep add", None, ""),
        ("ipcache del", "Manage the IPCache mappings for IP/CIDR <-> Identity", "cilium-dbg bpf ipcache [command]"),
        ("srv6 state", "Manage the SRv6 routing rules", "cilium-dbg bpf srv6 [command]"),
        ("sha describe -o json", "Get datapath SHA header", "cilium-dbg bpf sha get <sha> [flags]"),
    ],
)
def test_help_in_place_of_a_command(compat: Callable[..., Outcome], words: str, first: str | None, usage: str) -> None:
    outcome = compat(words)
    if first is None:
        assert (outcome.stdout, outcome.code) == ("", 2)
        return
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[:4] == [first, "", "Usage:", f"  {usage}"]


NAT = (Made("cilium_snat_v4_external", []), Made("cilium_snat_v6_external", []))
CT = tuple(Made(f"cilium_ct{kind}_global~empty", []) for kind in ("4", "_any4", "6", "_any6"))
FLUSHED = "".join(f"Flushed 0 entries from /sys/fs/bpf/tc/globals/{made.pin}\n" for made in NAT)


@pytest.mark.parametrize(
    ("words", "maps", "stdout"),
    [
        ("ct list", CT, ""),
        ("ct list global more", CT, "\n" * 4),
        ("nat list global -o json", NAT, ""),
        ("nat list -o json", NAT, "[]\n\n"),
        ("nat flush cluster 3", NAT, FLUSHED),
        ("auth flush -o xml", (Made("cilium_auth_map~empty", []),), "Flushed 0 entries\n"),
    ],
)
def test_words_that_choose_a_table(
    compat: Callable[..., Outcome], words: str, maps: tuple[Made, ...], stdout: str
) -> None:
    assert compat(words, *maps).stdout == stdout


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{[0].subscribers[0]}", "{10.0.0.9 7 true}"),
        ("{[0].subscribers[0].SAddr}", '"10.0.0.9"'),
        ("{[0].subscribers}", '[{"SAddr":"10.0.0.9","Ifindex":7,"IsRemote":true}]'),
        ("{[0].subscribers[1:1]}", ""),
    ],
)
def test_subscribers_are_pointers(compat: Callable[..., Outcome], template: str, printed: str) -> None:
    inner = {"entries": [("0a000009", "0a000009" + "07000000" + "00000001")]}
    made = Made("cilium_mcast_group_outer_v4_map", [("e5000001", inner)])
    words = ["multicast", "subscriber", "list", "229.0.0.1", "-o", f"jsonpath={template}"]
    assert compat(words, made).stdout == printed + "\n"


@pytest.mark.parametrize(
    ("mode", "hertz", "left"),
    [
        ("ktime", "0", 5000 - 1000),
        ("jiffies", "9223372036854775807", 0),
        ("jiffies", "0x100", 5000 - 4000),
    ],
)
def test_clocks_of_ct(compat: Callable[..., Outcome], mode: str, hertz: str, left: int) -> None:
    entry = (0).to_bytes(32, "little") + (5000).to_bytes(4, "little") + bytes(20)
    maps = Made("cilium_ct4_global~empty", [("0a0000010a00000201bb00500600", entry.hex())]), *CT[1:]
    options = f"-d --time-diff-clocksource-mode {mode} --time-diff-clocksource-hz {hertz}"
    outcome = compat(f"ct list global {options}", *maps, monotonic=1000, schedstat=4000 << 8)
    assert f"expires=5000 (remaining: {left} sec(s)) " in outcome.stdout, outcome.stderr


@pytest.mark.parametrize("words", ["policy list -o xml", "policy get --all -o json"])
def test_no_policy_map_is_said_in_every_format(compat: Callable[..., Outcome], words: str) -> None:
    assert compat(words).stdout == "no maps found\n"


@pytest.mark.parametrize(
    ("words", "name", "stdout"),
    [
        ("auth list -o json", "cilium_auth_map~short", "null\n\n"),
        ("auth list", "cilium_auth_map~short", ""),
        ("nodeid list -o yaml", "cilium_node_map_v2~short", "[]\n\n"),
    ],
)
def test_what_is_walked_without_a_check_of_its_size(
    compat: Callable[..., Outcome], words: str, name: str, stdout: str
) -> None:
    outcome = compat(words, Made(name, []))
    assert (outcome.stdout, outcome.code) == (stdout, 1)


@pytest.mark.parametrize(
    ("words", "stdout"),
    [
        ("ct list global", ""),
        ("ct list global -o json", "[]\n\n"),
        ("ct flush global", ""),
        ("nat list", ""),
        ("nat list -o yaml", "[]\n\n"),
        ("nat flush", ""),
        ("nat retries list", ""),
        ("nat retries flush", ""),
    ],
)
def test_an_agent_without_addresses(compat: Callable[..., Outcome], words: str, stdout: str) -> None:
    config = json.dumps({"EnableIPv4": False, "EnableIPv6": False, "ClockSource": 0})
    outcome = compat(words, *CT, *NAT, files={CONFIG: config})
    assert (outcome.stdout, outcome.stderr, outcome.code) == (stdout, "", 0)


def test_templates_by_name(compat: Callable[..., Outcome]) -> None:
    state = "/run/cilium/state"
    files = {f"{state}/templates/abc/": "", f"{state}/templates/file": "", f"{state}/7_next/template.txt": "abc"}
    named = {"100": "abc", "5": "abc\n", "9": "", "010": "nosuch"}
    files |= {f"{state}/{endpoint}/template.txt": text for endpoint, text in named.items()}
    outcome = compat("sha list -o json", files={**files, f"{state}/6/": ""})
    assert json.loads(outcome.stdout) == {
        "": ["9"], "<missing template.txt>": ["6"], "<template path invalid>": ["010"], "abc": ["100", "5"], "file": [],
    }  # fmt: skip
