"""Snapshots of real maps, and what bpftool dumps of them: both read as the live maps are."""

from __future__ import annotations

import json
import random
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.cli.main import main
from cilium_py.families import definitions, family_of
from cilium_py.libbpf.constants import MapType
from cilium_py.loader.template import prebuilt_object
from cilium_py.render.values import as_object
from cilium_py.snapshot.open import recording
from cilium_py.snapshot.save import READABLE
from cilium_py.table import Family
from tests.features import lacking
from tests.kernel.conftest import Said

from .test_families import Outer, make

SEED = 20261123
ENTRIES = 50


@pytest.fixture
def node(bpffs: Path) -> Iterator[Path]:
    """The maps of our own programs, with BTF, filled with whatever comes."""
    globals = bpffs / "tc/globals"
    globals.mkdir(parents=True)
    chance = random.Random(SEED)
    with BpfObject.open(prebuilt_object(), pin_root=globals) as opened:
        opened.load()
        for path in sorted(globals.iterdir()):
            with BpfMap.open(path, read_only=False) as made:
                fill(made, chance)
        yield bpffs


def fill(made: BpfMap, chance: random.Random) -> None:
    if MapType(made.info.type) not in READABLE or made.info.type == MapType.PROG_ARRAY:
        return
    for index in range(min(ENTRIES, made.info.max_entries)):
        key = chance.randbytes(made.key_size)
        if made.info.type == MapType.LPM_TRIE:
            length = chance.randrange(32, 8 * (made.key_size - 4) + 1)
            key = length.to_bytes(4, "little") + key[4:]
        elif made.info.type in (MapType.ARRAY, MapType.PERCPU_ARRAY):
            key = index.to_bytes(4, "little")
        made.update(key, chance.randbytes(made.value_room))


def rows(where: object) -> dict[str, list[object]]:
    """Every row of every family that has maps there."""
    found = {}
    for definition in definitions():
        pins = [source.pin for source in definition.sources]
        family = Family(definition, where)  # type: ignore[arg-type]  # a directory or a recording
        if any(pin in names_at(where) for pin in pins):
            found[" ".join(definition.command)] = sorted(map(str, map(as_object, family.rows())))
    return found


def names_at(where: object) -> set[str]:
    return {path.name for path in where.iterdir()} if isinstance(where, Path) else set(where.names())  # type: ignore[attr-defined]


def saved(node: Path, target: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["--bpf-root", str(node), "--state-dir", str(node / "state"), "snapshot", "save", str(target), *more])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_a_snapshot_reads_as_the_live_maps_do(node: Path, tmp_path: Path) -> None:
    assert saved(node, tmp_path / "a.snap") == 0
    live = rows(node / "tc/globals")
    assert sum(map(len, live.values())) > 10 * ENTRIES
    with recording(tmp_path / "a.snap") as opened:
        assert rows(opened) == live
        for name in opened.names():
            with opened.open(name) as then, BpfMap.open(node / "tc/globals" / name) as now:
                assert then.info == now.info
                if now.info.type in READABLE:
                    assert sorted(then.entries()) == sorted(now.entries()), name
                assert then.read_btf() == now.read_btf()


def test_what_is_saved_is_private_and_whole(node: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "a.snap"
    assert saved(node, target) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert saved(node, target) == 2
    assert "exists already" in capfd.readouterr().err
    assert saved(node, target, "--force") == 0
    assert saved(node, tmp_path) == 2
    assert saved(node, tmp_path / "missing" / "a.snap") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".a")] == []


@pytest.mark.parametrize("words", [("-j",), ("-p",), ()], ids=["json", "pretty", "text"])
@pytest.mark.parametrize("packed", [False, True], ids=["directory", "archive"])
def test_dumps_by_bpftool_read_as_the_live_maps_do(
    words: tuple[str, ...], packed: bool, node: Path, tmp_path: Path
) -> None:  # fmt: skip
    bpftool = shutil.which("bpftool")
    if bpftool is None:
        lacking("bpftool, whose outputs these are")
    target = tmp_path / "cilium-bugtool-x" / "cmd"
    target.mkdir(parents=True)
    pins = node / "tc/globals"
    for path in pins.iterdir():
        name = f"bpftool-map-dump-pinned--sys-fs-bpf-tc-globals-{path.name}.md"
        with (target / name).open("wb") as file:
            subprocess.run([bpftool, *words, "map", "dump", "pinned", path], stdout=file, check=False)
    where = target
    if packed:
        where = tmp_path / "bugtool.tar.gz"
        with tarfile.open(where, "w:gz") as archive:
            archive.add(target.parent, target.parent.name)
    with recording(where) as opened:
        assert rows(opened) == rows(pins)


def test_maps_of_maps_are_saved_with_their_inner_maps(bpffs: Path, tmp_path: Path) -> None:
    globals = bpffs / "tc/globals"
    globals.mkdir(parents=True)
    inner = {"name": "table", "type": MapType.ARRAY, "key_size": 4, "value_size": 12, "max_entries": 1}
    outer = Outer(globals / "cilium_lb4_maglev", 2, inner)
    with outer.map:
        outer.put("0102", {"00000000": "0100000002000000ffffffff"})
        assert saved(bpffs, tmp_path / "a.snap") == 0
        live = list(Family(family_of("cilium_lb4_maglev")[0], globals).rows())  # type: ignore[index]
    with recording(tmp_path / "a.snap") as opened:
        assert live
        assert list(Family(family_of("cilium_lb4_maglev")[0], opened).rows()) == live  # type: ignore[index]


def test_a_hostile_name_of_a_pin_survives(bpffs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (bpffs / "tc/globals").mkdir(parents=True)
    make(bpffs / "tc/globals" / "red\x1b[31m\n\udcff", {"00": "11"})
    assert saved(bpffs, tmp_path / "a.snap") == 0
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main(["snapshot", "list", str(tmp_path / "a.snap")])
    assert r"red\x1b[31m\n\udcff" in capfd.readouterr().out
    with recording(tmp_path / "a.snap") as opened:
        assert list(opened.recorded("red\x1b[31m\n\udcff").entries()) == [(b"\0", b"\x11")]


def test_differences(bpffs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    globals = bpffs / "tc/globals"
    globals.mkdir(parents=True)
    tunnel = globals / "cilium_tunnel_map"
    key, value = "0a01{:02x}00" + "00" * 12 + "01000000", "c0a800{:02x}" + "00" * 12 + "01000000"
    make(tunnel, {key.format(n): value.format(n) for n in (1, 2, 3)})
    make(globals / "cilium_unknown", {"0001": "aa"})
    assert saved(bpffs, tmp_path / "a.snap") == 0
    with BpfMap.open(tunnel, read_only=False) as opened:
        opened.delete(bytes.fromhex(key.format(1)))
        opened.update(bytes.fromhex(key.format(2)), bytes.fromhex(value.format(9)))
        opened.update(bytes.fromhex(key.format(4)), bytes.fromhex(value.format(4)))
    with BpfMap.open(globals / "cilium_unknown", read_only=False) as opened:
        opened.update(b"\0\1", b"\xbb")
    make(globals / "cilium_new", {"00": "00"})
    assert saved(bpffs, tmp_path / "b.snap") == 0
    capfd.readouterr()
    expected = [
        ("cilium_new", "map added", None, []),
        ("cilium_tunnel_map", "removed", "10.1.1.0", []),
        ("cilium_tunnel_map", "changed", "10.1.2.0", ["node"]),
        ("cilium_tunnel_map", "added", "10.1.4.0", []),
        ("cilium_unknown", "changed", None, ["value"]),
    ]
    for words in (["b.snap"], []):
        arguments = [str(tmp_path / name) for name in ("a.snap", *words)]
        with pytest.raises(SystemExit) as stop:
            main(["--bpf-root", str(bpffs), "snapshot", "diff", *arguments, "-o", "json"])
        found = json.loads(capfd.readouterr().out)
        assert stop.value.code == 0
        assert [(row["map"], row["change"]) for row in found] == [each[:2] for each in expected]
        for row, (_, change, address, _) in zip(found, expected, strict=True):
            if address is not None:
                side = row["before"] if change == "removed" else row["after"]
                assert address in side.values()
        assert found[2]["fields"] != []
        assert found[4]["before"], found[4]["after"] == ("aa", "bb")
    with pytest.raises(SystemExit):
        main(["--bpf-root", str(bpffs), "snapshot", "diff", str(tmp_path / "a.snap"), "--count", "-o", "json"])
    counts = {row["map"]: row for row in json.loads(capfd.readouterr().out)}
    assert counts["cilium_tunnel_map"] == {
        "map": "cilium_tunnel_map", "before": 3, "after": 3, "added": 1, "removed": 1, "changed": 1,
    }  # fmt: skip
    assert (counts["cilium_new"]["before"], counts["cilium_new"]["after"]) == (None, 1)


def test_commands_with_from(node: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], said: Said) -> None:
    """Text and JSON of lists are the same bytes, and nothing that changes a map does."""
    target = str(tmp_path / "a.snap")
    assert saved(node, Path(target)) == 0
    capfd.readouterr()
    for words in ("ct list", "endpoint list", "ipcache list -o json", "metrics list", "lb list", "frag list"):
        live = said(*words.split())
        with pytest.raises(SystemExit) as stop:
            main(["--from", target, "bpf", *words.split()])
        out, _ = capfd.readouterr()
        assert sorted(out.splitlines()) == sorted(live[1].splitlines()), words
        assert stop.value.code == live[0]
    for words in ("ct flush --yes", "endpoint delete 10.0.0.1 --yes", "policy add 1 ingress 2", "fs show"):
        with pytest.raises(SystemExit) as stop:
            main(["--from", target, "bpf", *words.split()])
        assert stop.value.code in (1, 2), words
    with pytest.raises(SystemExit) as stop:
        main(["--from", target, "lab", "status"])
    assert "needs a live node" in capfd.readouterr().err
    assert stop.value.code == 2


def test_a_large_table_takes_no_more_memory_than_a_small_one(bpffs: Path, tmp_path: Path) -> None:
    """But for the buffers of a batch: saving and listing 300,000 connections, each in a process of its own."""
    globals = bpffs / "tc/globals"
    globals.mkdir(parents=True)
    most = []
    for count in (1, 300_000):
        with BpfMap.create(name="t", type=MapType.HASH, key_size=14, value_size=56, max_entries=count) as made:
            keys = b"".join(n.to_bytes(4, "big") + bytes(8) + b"\x06\x01" for n in range(count))
            made.update_batch(keys, bytes(56 * count))
            made.repin(globals / "cilium_ct4_global")
        target = tmp_path / f"{count}.snap"
        _, saving = peak(["--bpf-root", str(bpffs), "snapshot", "save", str(target)])
        lines, listing = peak(["--from", str(target), "ct", "list"])
        assert lines == count
        most.append((saving, listing))
    small, large = most
    assert large[0] - small[0] < 8 << 10
    assert large[1] - small[1] < 16 << 10


PEAK = """
import sys
from cilium_py.cli.main import cilium_py, run
code = run(lambda: cilium_py.main(sys.argv[1:], prog_name="cilium-py", standalone_mode=False))
held = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, held.split()[1], file=sys.stderr)
"""


def peak(words: list[str]) -> tuple[int, int]:
    """(lines printed, most KiB held) of a command in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", PEAK, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child, child.stdout, child.stderr:
        lines = sum(1 for _ in child.stdout)
        *_, last = child.stderr
    code, held = last.split()
    assert code == "0"
    return lines, int(held)
