"""bpftool's outputs, as it and cilium-bugtool leave them: alone, in directories, in archives, and damaged."""

from __future__ import annotations

import gzip
import io
import json
import resource
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps import ct, endpoint, metrics
from cilium_py.schema.text import ip
from cilium_py.snapshot.open import recording
from cilium_py.snapshot.recording import BadRecording
from cilium_py.table import Family

from .making import ENDPOINTS, Entries

PIN = "cilium_lxc"
BUGTOOL = "cilium-bugtool-20261123/cmd/bpftool-map-dump-pinned--sys-fs-bpf-tc-globals-{}.md"
BY_BTF = """[{
        "key": {
            "daddr": 16777226,
            "saddr": 33554442,
            "dport": 47873,
            "sport": 20480,
            "nexthdr": 6,
            "flags": 1
        },
        "value": {
            "reserved0": 0,
            "backend_id": 0,
            "packets": 7,
            "bytes": 420,
            "lifetime": 1000,
            "rx_closing": 0x0,
            "tx_closing": 0x1,
            "reserved1": 0x0,
            "lb_loopback": 0x0,
            "seen_non_syn": 0x1,
            "node_port": 0x0,
            "proxy_redirect": 0x0,
            "dsr_internal": 0x0,
            "from_l7lb": 0x0,
            "reserved2": 0x0,
            "from_tunnel": 0x0,
            "reserved3": 0x0,
            "rev_nat_index": 256,
            "reserved4": 0,
            "tx_flags_seen": 18,
            "rx_flags_seen": 2,
            "src_sec_id": 4242,
            "last_tx_report": 5,
            "last_rx_report": 6
        }
    }
]
"""
"""A connection as the text of bpftool has it by BTF: bit fields are no JSON."""


def plain_json(entries: Entries) -> str:
    return json.dumps([{"key": [f"{b:#04x}" for b in k], "value": [f"{b:#04x}" for b in v]} for k, v in entries])


def long_text(entries: Entries) -> str:
    said = "".join(f"key:\n{k.hex(' ')}\nvalue:\n{v.hex(' ')}\n" for k, v in entries)
    return f"{said}Found {len(entries)} elements\n"


def short_text(entries: Entries) -> str:
    said = "".join(f"key: {k.hex(' ')}  value: {v.hex(' ')}\n" for k, v in entries)
    return f"{said}Found {len(entries)} elements\n"


def markdown(text: str) -> str:
    return f"# bpftool map dump pinned /sys/fs/bpf/tc/globals/x\n\n```\n{text}\n```\n"


WAYS = (plain_json, long_text, short_text)


def dump(directory: Path, pin: str, text: str, name: str = "{}.json") -> Path:
    path = directory / name.format(pin)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return directory


def ids(path: Path) -> list[int]:
    with recording(path) as opened:
        return [row.endpoint_id for row in Family(endpoint.MAP, opened).rows()]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["{}.json", "{}", BUGTOOL])
def test_a_family_is_read_from_dumps(way: object, wrapped: bool, name: str, tmp_path: Path) -> None:
    text = way(ENDPOINTS)  # type: ignore[operator]  # one of the functions above
    assert ids(dump(tmp_path, PIN, markdown(text) if wrapped else text, name)) == [1, 2, 3, 4, 5]


@given(st.lists(st.tuples(st.binary(min_size=3, max_size=3), st.binary(min_size=5, max_size=5)), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_way_of_writing_says_the_same(tmp_path: Path, entries: Entries) -> None:
    for way in WAYS:
        with recording(dump(tmp_path, "cilium_unknown", way(entries))) as opened:
            assert list(opened.recorded("cilium_unknown").entries()) == entries


def test_fields_by_btf_become_bytes_again(tmp_path: Path) -> None:
    with recording(dump(tmp_path, "cilium_ct4_global", markdown(BY_BTF), BUGTOOL)) as opened:
        [row] = Family(ct.MAP, opened).rows()
    assert (ip(row.source), row.source_port, ip(row.destination), row.destination_port) == (
        "10.0.0.1",
        80,
        "10.0.0.2",
        443,
    )
    assert (row.direction, row.packets, row.flag_names, row.rev_nat) == ("IN", 7, ["TxClosing", "SeenNonSyn"], 1)
    assert (row.tx_flags_seen, row.rx_flags_seen, row.source_identity) == (18, 2, 4242)


def test_fields_of_an_older_release_are_found_by_their_names(tmp_path: Path) -> None:
    old = BY_BTF.replace('"reserved4": 0', '"ifindex": 3')
    with recording(dump(tmp_path, "cilium_ct4_global", old)) as opened:
        table = next(Family(ct.MAP, opened).tables())
        assert table.layout.release == "1.16"
        [row] = table.rows()
        assert (row.packets, row.source_identity) == (7, 4242)


def test_fields_of_no_known_layout_are_refused(tmp_path: Path) -> None:
    text = '[{"key": {"colour": 1}, "value": {"shape": 2}}]'
    with recording(dump(tmp_path, PIN, text)) as opened, pytest.raises(BadRecording, match="no layout that is known"):
        opened.open(PIN)


def test_values_of_every_cpu(tmp_path: Path) -> None:
    def by_cpu(count: int) -> list[str]:
        return [f"{b:#04x}" for b in count.to_bytes(8, "little") + bytes(8)]

    values = [{"cpu": cpu, "value": by_cpu(cpu + 1)} for cpu in range(3)]
    text = json.dumps([{"key": [f"{b:#04x}" for b in bytes([0, 1, 0, 0, 0, 0, 0, 0])], "values": values}])
    with recording(dump(tmp_path, "cilium_metrics", text)) as opened:
        assert [row.packets for row in Family(metrics.MAP, opened).rows()] == [6]


def test_what_could_not_be_read_is_no_entry(tmp_path: Path) -> None:
    text = '[{"key":["0x00"],"value":{"error":"Unknown error 524"}},{"key":["0x01"],"value":["0x02"]}]'
    with recording(dump(tmp_path, "cilium_events", text)) as opened:
        assert list(opened.recorded("cilium_events").entries()) == [(b"\1", b"\2")]


@pytest.mark.parametrize("text", ["", "[]", "Found 0 elements\n", markdown("[]")])
def test_an_empty_map(text: str, tmp_path: Path) -> None:
    assert ids(dump(tmp_path, PIN, text)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Error: bpf obj get: Permission denied", "no output of bpftool"),
        (plain_json(ENDPOINTS)[:-40], "ends early"),
        ('[{"key":["0x00"]', "ends early"),
        ('[{"value":["0x00"]}]', "without a key"),
        ("[1, 2]", "no entry"),
        ("[" * 100_000, "ends early"),
        ('[{"key":["0xzz"],"value":["0x00"]}]', "no entry"),
        ('[{"key":["0x00"],"values":[1]}]', "no entry"),
        ('[{"key":["0x00"],"value":["0x00"]},{"key":["0x00","0x01"],"value":["0x00"]}]', "among others"),
        ("key: 00  value: 01\nkey: 00 11  value: 01\n", "among others"),
        ("\0" * 100_000, "no output of bpftool"),
        ("[" + " " * (20 << 20), "ends early"),
        ('[{"key": "' + "0" * (20 << 20), "an entry without an end"),
        ("key: " + "00 " * (20 << 20), "an entry without an end"),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_wrong_is_said(text: str, said: str, tmp_path: Path) -> None:
    with recording(dump(tmp_path, "cilium_unknown", text)) as opened, pytest.raises(BadRecording, match=said):
        list(opened.recorded("cilium_unknown").entries())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_an_error_or_harmless(data: st.DataObject, tmp_path: Path) -> None:
    text = data.draw(st.sampled_from([*(way(ENDPOINTS) for way in WAYS), markdown(BY_BTF)]))
    start, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 60))
    damaged = text[:start] + data.draw(st.text(max_size=20)) + text[start + length :]
    pin = "cilium_ct4_global" if "daddr" in text else PIN
    said = ""
    try:
        with recording(dump(tmp_path, pin, damaged)) as opened:
            list(opened.recorded(pin).entries())
    except CiliumPyError as error:
        said = error.message
    assert not said or str(tmp_path) in said


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # a mode as text
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


DUMP = plain_json(ENDPOINTS).encode()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_bugtool_archive(mode: str, tmp_path: Path) -> None:
    assert ids(tar(tmp_path / "bugtool.tar", {BUGTOOL.format(PIN): DUMP}, mode)) == [1, 2, 3, 4, 5]


def sysdump(path: Path, nodes: list[str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for node in nodes:
            inner = tar(path.parent / "inner.tar.gz", {BUGTOOL.format(PIN): DUMP})
            archive.writestr(f"sysdump/cilium-bugtool-{node}.tar.gz", inner.read_bytes())
        archive.writestr("sysdump/pods.yaml", "kind: List")
    return path


def test_a_sysdump_of_one_node(tmp_path: Path) -> None:
    assert ids(sysdump(tmp_path / "sysdump.zip", ["one"])) == [1, 2, 3, 4, 5]


def test_of_several_nodes_one_is_chosen_by_its_path(tmp_path: Path) -> None:
    path = sysdump(tmp_path / "sysdump.zip", ["one", "two"])
    with pytest.raises(BadRecording, match="dumps of 2 nodes") as raised:
        recording(path)
    assert f"{path}/sysdump/cilium-bugtool-one.tar.gz" in str(raised.value.hint)
    assert ids(path / "sysdump/cilium-bugtool-two.tar.gz") == [1, 2, 3, 4, 5]


def test_state_of_a_bugtool_archive(tmp_path: Path) -> None:
    files = {
        BUGTOOL.format(PIN): DUMP,
        "cilium-bugtool-20261123/cmd/state/agent-runtime-config.json": b'{"KernelHz": 250}',
        "cilium-bugtool-20261123/cmd/state/42/ep_config.json": b"{}",
        "cilium-bugtool-20261123/cmd/state/../../../etc/passwd.json": b"{}",
    }
    with recording(tar(tmp_path / "a.tar.gz", files)) as opened:
        directory = opened.extract_state()
        found = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    assert found == ["42/ep_config.json", "agent-runtime-config.json"]


def test_what_leads_out_of_an_archive_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (
            ("d/cilium_ct4_global.json", tarfile.SYMTYPE, "/etc/shadow"),
            ("d/cilium_ct6_global.json", tarfile.LNKTYPE, "../../etc/shadow"),
            ("d/cilium_metrics.json", tarfile.FIFOTYPE, ""),
            ("d/../../cilium_ipcache.json", tarfile.REGTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("d/cilium_lxc.json")
        info.size = len(DUMP)
        archive.addfile(info, io.BytesIO(DUMP))
    with recording(path) as opened:
        assert opened.names() == [PIN]


def test_links_in_a_directory_are_not_followed(tmp_path: Path) -> None:
    dump(tmp_path, PIN, plain_json(ENDPOINTS))
    (tmp_path / "cilium_metrics.json").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    with recording(tmp_path) as opened:
        assert opened.names() == [PIN]


def test_gigabytes_of_zeros_take_no_memory(tmp_path: Path) -> None:
    """Two of them, compressed to two megabytes, read by a process that may have half of one."""
    zeros = gzip.compress(bytes(64 << 20), 6) * 32
    (tmp_path / "cilium_lxc.json").write_bytes(zeros)
    (tmp_path / "bomb.tar.gz").write_bytes(zeros)
    head = tarfile.TarInfo("cilium_lxc.json")
    head.size = 2 << 30
    (tmp_path / "inner.tar.gz").write_bytes(gzip.compress(head.tobuf()) + zeros)
    program = (
        "import sys\nfrom pathlib import Path\nfrom cilium_py.snapshot.open import recording\n"
        "opened = recording(Path(sys.argv[1]))\nlist(opened.recorded(opened.names()[0]).entries())\n"
    )
    for name in ("cilium_lxc.json", "bomb.tar.gz", "inner.tar.gz"):
        target = tmp_path / name
        if name.endswith(".json"):
            (tmp_path / "d").mkdir()
            target = target.rename(tmp_path / "d" / name).parent
        done = subprocess.run(
            [sys.executable, "-c", program, target], capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20)),
        )  # fmt: skip
        assert "BadRecording" in done.stderr, done.stderr[-300:]


@pytest.mark.parametrize("name", ["missing.snap", "file/more"])
def test_a_path_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no such file"):
        recording(tmp_path / name)


@given(data=st.binary(max_size=2000))
@example(data=b"PK\5\6" + bytes(18))
@example(data=b"\x1f\x8b" + bytes(20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_refused_with_its_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    with pytest.raises(CiliumPyError, match=r"any"):
        recording(path)
