"""Snapshots from elsewhere: what is whole is read, what is not is one clear error, and memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.errors import CiliumPyError, MapMissing
from cilium_py.libbpf.constants import MapType
from cilium_py.maps import endpoint, ipcache
from cilium_py.snapshot import bounded
from cilium_py.snapshot.manifest import COUNT
from cilium_py.snapshot.open import recording
from cilium_py.snapshot.recording import BadRecording
from cilium_py.snapshot.saved import Snapshot
from cilium_py.table import Family

from .making import ABOUT, ENDPOINTS, packed, shape, write

PIN = "cilium_lxc"


def read_all(path: Path) -> int:
    """How many entries there are in all maps, each of them read."""
    with recording(path) as opened:
        return sum(len(list(opened.recorded(name).entries())) for name in opened.names())


def test_a_family_is_read_from_a_snapshot(tmp_path: Path) -> None:
    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS})
    with recording(path) as opened:
        assert [row.endpoint_id for row in Family(endpoint.MAP, opened).rows()] == [1, 2, 3, 4, 5]
        table = next(Family(endpoint.MAP, opened).tables())
        assert table.map.lookup(ENDPOINTS[2][0]) == ENDPOINTS[2][1]
        assert table.map.lookup(bytes(20)) is None
        assert list(table.map.keys()) == [key for key, _ in ENDPOINTS]
        assert opened.monotonic == ABOUT.monotonic


def test_nothing_of_a_snapshot_can_be_changed(tmp_path: Path) -> None:
    with recording(write(tmp_path / "a.snap", {PIN: ENDPOINTS})) as opened:
        with pytest.raises(CiliumPyError, match="nothing can be changed"):
            opened.open(PIN, read_only=False)
        with pytest.raises(CiliumPyError, match="nothing can be changed"):
            opened.open(PIN).delete(ENDPOINTS[0][0])


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    with recording(write(tmp_path / "a.snap", {PIN: ENDPOINTS})) as opened, pytest.raises(MapMissing, match="recorded"):
        opened.open("cilium_metrics")


def test_the_longest_prefix_of_a_trie_is_found(tmp_path: Path) -> None:
    def entry(length: int, address: bytes, identity: int) -> tuple[bytes, bytes]:
        key = ipcache.Key(prefixlen=32 + length, family=1, ip=address.ljust(16, b"\0")).pack()
        return key, ipcache.Value(sec_identity=identity).pack()

    entries = [entry(8, b"\x0a", 1), entry(24, b"\x0a\x01\x02", 2), entry(32, b"\x0a\x01\x02\x03", 3)]
    shapes = [shape("cilium_ipcache_v2", entries, type=MapType.LPM_TRIE)]
    with recording(write(tmp_path / "a.snap", {"cilium_ipcache_v2": entries}, shapes=shapes)) as opened:
        table = opened.open("cilium_ipcache_v2")
        found = [
            table.lookup(ipcache.Key(prefixlen=64, family=1, ip=bytes(address).ljust(16, b"\0")).pack())
            for address in ([10, 1, 2, 3], [10, 1, 2, 4], [10, 9, 9, 9], [11, 0, 0, 1])
        ]
    assert [ipcache.Value.unpack(value).sec_identity if value else None for value in found] == [3, 2, 1, None]


@contextmanager
def harmless_or_named(path: Path) -> Iterator[None]:
    """Whatever goes wrong is an error of ours that names the file."""
    said: str | None = None
    try:
        yield
    except CiliumPyError as error:
        said = error.message
    assert said is None or str(path) in said


class Bad(NamedTuple):
    """A snapshot with something wrong in it, and what is said of it."""

    title: str
    said: str
    members: dict[str, bytes] = {}  # noqa: RUF012  nobody changes it
    amend: Callable[[dict[str, Any]], None] = lambda _: None


def of_map(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["maps"][0].update(changes)


def of_document(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update(changes)


BAD = [
    Bad("another format", "not a snapshot", amend=of_document(format="tar")),
    Bad("a later version", "version 2, this cilium-py reads 1", amend=of_document(version=2)),
    Bad("a version that is no number", "version", amend=of_document(version=["1"])),
    Bad("maps that are no list", "no list of Shape", amend=of_document(maps={"a": 1})),
    Bad("a size that is text", "Shape key_size", amend=of_map(key_size="20")),
    Bad("a size that is true", "Shape key_size", amend=of_map(key_size=True)),
    Bad("a negative size", "Shape value_size", amend=of_map(value_size=-1)),
    Bad("a giant value", "entries of 20 and", amend=of_map(value_size=1 << 31)),
    Bad("a giant key", "entries of", amend=of_map(key_size=1 << 20)),
    Bad("a pin with a path", "impossible name", amend=of_map(pin="../../etc/passwd")),
    Bad("too many CPUs", "CPUs", amend=of_document(about={**ABOUT._asdict(), "cpus": 1 << 30})),
    Bad("no CPU", "CPUs", amend=of_document(about={**ABOUT._asdict(), "cpus": 0})),
    Bad("no manifest in it", "not JSON", members={"manifest.json": b"{"}),
    Bad("a manifest that is a list", "not a JSON object", members={"manifest.json": b"[1]"}),
    Bad("nested a thousand times", "not JSON", members={"manifest.json": b"[" * 100_000}),
    Bad("fewer entries than declared", "ends 5 entries early", amend=of_map(entries=10)),
    Bad("more entries than declared", "a batch of 2 entries where 1 are left", amend=of_map(entries=1)),
    Bad("an entry cut short", "ends early", members={"maps/0": packed(ENDPOINTS)[:-1]}),
    Bad("a count cut short", "ends early", members={"maps/0": packed(ENDPOINTS) + b"\1"}),
    Bad("zeros", "a batch of 0 entries", members={"maps/0": bytes(4096)}),
    Bad("a batch of four billion", "a batch of 4294967295", members={"maps/0": COUNT.pack(0xFFFFFFFF)},
        amend=of_map(entries=1 << 40)),
    Bad("a batch of a gigabyte", "a batch of 16777216", members={"maps/0": COUNT.pack(1 << 24)},
        amend=of_map(entries=1 << 40)),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.title)
def test_what_is_wrong_is_said(case: Bad, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.snap", {PIN: ENDPOINTS}, case.members, case.amend)
    with pytest.raises(BadRecording, match=case.said):
        read_all(path)


def test_fields_of_a_later_minor_version_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS}, amend=of_map(colour="blue"))
    assert read_all(path) == len(ENDPOINTS)


def test_a_missing_member_is_an_error_unless_there_was_no_entry(tmp_path: Path) -> None:
    shapes = [shape(PIN, ENDPOINTS), shape("cilium_events", ENDPOINTS)._replace(entries=None)]
    with pytest.raises(BadRecording, match="entries are missing"):
        read_all(write(tmp_path / "a.snap", {}, shapes=shapes))
    assert read_all(write(tmp_path / "b.snap", {}, shapes=shapes[1:])) == 0


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "ALWAYS", 1 << 20)
    entries = [(n.to_bytes(4, "little"), bytes(60)) for n in range(40_000)]
    repeated = COUNT.pack(4096) + bytes(4096 * 64)
    path = write(
        tmp_path / "bomb.snap", {"cilium_x": entries[:1]}, {"maps/0": repeated * 100},
        amend=of_map(entries=409_600),
    )  # fmt: skip
    assert path.stat().st_size < 100_000
    with pytest.raises(BadRecording, match="expands to more than"):
        read_all(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method: int, tmp_path: Path) -> None:
    """Their decompressors cannot be bounded."""
    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with pytest.raises(BadRecording, match="neither stored nor deflated"):
        read_all(path)


def test_state_stays_in_its_directory(tmp_path: Path) -> None:
    names = [
        "../out.json",
        "/etc/out.json",
        "a/../../out.json",
        ".hidden.json",
        "x.so",
        "1/ep_config.json",
        "a\\b.json",
    ]
    members = {f"state/{name}": b"{}" for name in names}
    members["state/node.json"] = json.dumps({"name": "n", "identities": "/etc", "netns": "/proc/1/ns/net"}).encode()
    with recording(write(tmp_path / "a.snap", {PIN: ENDPOINTS}, members)) as opened:
        assert isinstance(opened, Snapshot)
        directory = opened.extract_state()
        found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
        assert found == {"1/ep_config.json", "node.json"}
        assert json.loads((directory / "node.json").read_text()) == {"name": "n", "identities": None, "netns": None}
        assert directory.stat().st_mode & 0o077 == 0
    assert not directory.exists()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_an_error_or_harmless(data: st.DataObject, tmp_path: Path) -> None:
    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS, "cilium_x": [(b"ab", b"cd")]})
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole)))]
    for _ in range(data.draw(st.integers(0, 4))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with harmless_or_named(path), recording(path) as opened:
        opened.extract_state()
        read_all(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=json_values)
def test_any_manifest_is_an_error_or_harmless(data: st.DataObject, value: Any, tmp_path: Path) -> None:
    def amend(document: dict[str, Any]) -> None:
        place: Any = document
        while isinstance(place, (dict, list)) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
                place[key] = value
                return
            place = place[key]

    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS}, amend=amend)
    with harmless_or_named(path):
        read_all(path)


def test_neither_root_nor_libbpf_is_needed(tmp_path: Path) -> None:
    """A recording is read by whoever may read the file, where no libbpf is installed."""
    path = write(tmp_path / "a.snap", {PIN: ENDPOINTS})
    program = (
        "import ctypes, sys\n"
        "def refuse(self, name, *rest, **more):\n"
        "    raise OSError(f'{name}: not here')\n"
        "ctypes.CDLL.__init__ = refuse\n"
        "from cilium_py.cli.main import main\n"
        "main(['--from', sys.argv[1], 'bpf', 'endpoint', 'list', '-o', 'jsonpath={[*].endpoint_id}'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 2 3 4 5\n", "")
