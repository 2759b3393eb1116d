"""Object files: configured by name, sized, shared, loaded, refused."""

from __future__ import annotations

import errno
import logging
import pickle
from pathlib import Path

import pytest

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.libbpf import VerifierError
from cilium_py.libbpf.constants import MapType

LENGTH = 60


def test_what_an_object_has(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        assert {"seen", "shared_pairs", "ring", "events"} < set(opened.maps)
        assert {name for name, found in opened.maps.items() if found.internal} == {"probe.rodata", ".rodata.config"}
        assert opened.maps["seen"].pin_path is None
        assert opened.maps["shared_pairs"].pin_path == bpffs / "shared_pairs"
        assert opened.programs["decide"].section == "tc"
        assert opened.programs["decide"].instructions > 20
        assert [name for name, found in opened.programs.items() if not found.autoload] == ["unchecked"]
        for unloaded in (opened.maps["seen"], opened.programs["decide"]):
            with pytest.raises(ValueError, match="is closed"):
                _ = unloaded.fd


def test_variables_have_their_types(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        assert dict(opened.rodata) == {
            "verdict": 2,
            "signed_number": -2,
            "enabled": False,
            "mac": bytes([1, 2, 3, 4, 5, 6]),
            "couple": bytes(8),
            "wide": 0,
        }
        opened.rodata.update(enabled=True, signed_number=-32768, wide=2**64 - 1, couple=b"12345678")
        opened.rodata["verdict"] = b"\x07\x00\x00\x00"
        assert opened.rodata["enabled"] is True
        assert (opened.rodata["signed_number"], opened.rodata["wide"]) == (-32768, 2**64 - 1)
        assert (opened.rodata["verdict"], opened.rodata["couple"]) == (7, b"12345678")


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("verdct", 1, KeyError, "no .rodata variable verdct, near: verdict"),
        ("verdict", 2**32, ValueError, "verdict has 32 bits, too few for 4294967296"),
        ("verdict", -1, ValueError, "verdict has 32 bits, too few for -1"),
        ("verdict", b"\0", ValueError, "verdict takes 4 bytes, not 1"),
        ("signed_number", 32768, ValueError, "signed_number has signed 16 bits"),
        ("enabled", 2, ValueError, "enabled is a bool, not 2"),
        ("mac", 1, TypeError, r"mac is __u8\[6\]: give 6 bytes"),
        ("couple", b"", ValueError, "couple takes 8 bytes, not 0"),
    ],
)
def test_values_that_a_variable_cannot_have(
    probe: Path, bpffs: Path, name: str, value: int | bytes, error: type[Exception], said: str
) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened, pytest.raises(error, match=said):
        opened.rodata[name] = value


def test_the_program_sees_the_configuration(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.rodata.update(enabled=True, verdict=7, wide=99)
        opened.load()
        run = opened.programs["decide"].test_run(bytes(LENGTH), ctx=b"")
        assert run.retval == 7
        assert int.from_bytes(run.ctx[48:52], "little") == 99
        with pytest.raises(ValueError, match="the object is loaded"):
            opened.rodata["verdict"] = 1
        assert opened.rodata["verdict"] == 7


def test_maps_can_be_sized_before_load(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.maps["shared_pairs"].max_entries = 1234
        assert opened.maps["shared_pairs"].max_entries == 1234
        opened.load()
        info = opened.maps["shared_pairs"].info
        assert (info.max_entries, info.name, info.btf_id > 0) == (1234, "shared_pairs", True)
    with BpfMap.open(bpffs / "shared_pairs") as pinned:
        assert pinned.info == info


def test_a_second_object_shares_the_pinned_map(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as first, BpfObject.open(probe, pin_root=bpffs) as second:
        first.load()
        second.load()
        assert first.maps["shared_pairs"].info.id == second.maps["shared_pairs"].info.id
        assert first.maps["seen"].info.id != second.maps["seen"].info.id


def test_a_pinned_map_of_another_shape_is_named(probe: Path, bpffs: Path) -> None:
    with BpfMap.create(name="other", type=MapType.HASH, key_size=9, value_size=4, max_entries=1) as other:
        other.pin(bpffs / "shared_pairs")
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        with pytest.raises(OSError, match=r"load object: .*shared_pairs.*mismatch") as caught:
            opened.load()
        assert caught.value.filename == str(probe)


def test_a_quiet_load_says_its_number_unless_somebody_listens(
    probe: Path, bpffs: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with BpfMap.create(name="other", type=MapType.HASH, key_size=9, value_size=4, max_entries=1) as other:
        other.pin(bpffs / "shared_pairs")
    caplog.set_level(logging.CRITICAL, "libbpf")
    for listening in (False, True):
        if listening:
            caplog.set_level(logging.DEBUG, "libbpf")
        with BpfObject.open(probe, pin_root=bpffs) as opened, pytest.raises(OSError, match="load object") as caught:
            opened.load(quietly=True)
        assert caught.value.errno == errno.EINVAL
        assert "mismatch" not in str(caught.value)
        assert any("mismatch" in record.message for record in caplog.records) == listening
    with BpfObject.open(probe, pin_root=bpffs) as opened, pytest.raises(OSError, match="mismatch"):
        opened.load()
    assert capfd.readouterr() == ("", "")


def test_reuse_of_an_open_map(probe: Path) -> None:
    with (
        BpfMap.create(name="mine", type=MapType.ARRAY, key_size=4, value_size=8, max_entries=1) as mine,
        BpfObject.open(probe) as opened,
    ):
        opened.maps["seen"].reuse(mine)
        opened.maps["shared_pairs"].pin_path = None
        opened.load()
        opened.programs["decide"].test_run(bytes(LENGTH), repeat=3)
        assert mine.lookup(bytes(4)) == (3).to_bytes(8, "little")


def test_a_refused_program_keeps_the_whole_log(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.programs["unchecked"].autoload = True
        with pytest.raises(VerifierError, match="invalid access to packet") as caught:
            opened.load()
    error = caught.value
    assert (error.program, error.errno) == ("unchecked", errno.EACCES)
    assert "processed 2 insns" in error.log
    assert "processed" not in str(error)
    assert "\n" not in str(error)
    assert pickle.loads(pickle.dumps(error)).log == error.log


def test_programs_left_out_are_not_loaded(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.programs["decide"].autoload = False
        opened.maps["ring"].leave_out()
        opened.load()
        for absent in (opened.programs["decide"], opened.maps["ring"]):
            with pytest.raises(ValueError, match="is closed"):
                _ = absent.fd
        assert opened.programs["pass"].test_run(bytes(LENGTH)).retval == 0


@pytest.mark.parametrize(
    ("content", "code"), [(None, errno.ENOENT), (b"", 0), (b"\x7fELF", 0), (b"not an object" * 100, 0)]
)
def test_files_that_are_no_object(tmp_path: Path, content: bytes | None, code: int) -> None:
    path = tmp_path / "broken.o"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OSError, match="open object") as caught:
        BpfObject.open(path)
    assert caught.value.filename == str(path)
    assert caught.value.errno == code or not code


def test_closing_ends_maps_and_programs_but_not_pins(probe: Path, bpffs: Path) -> None:
    opened = BpfObject.open(probe, pin_root=bpffs)
    opened.load()
    program = opened.programs["pass"]
    opened.close()
    opened.close()
    for use in (lambda: program.fd, lambda: opened.maps["seen"].lookup(bytes(4)), opened.load):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert (bpffs / "shared_pairs").exists()


def test_libbpf_speaks_through_logging(
    probe: Path, bpffs: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "libbpf")
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.programs["unchecked"].autoload = True
        with pytest.raises(VerifierError):
            opened.load()
    levels = {record.levelno for record in caplog.records if record.name == "libbpf"}
    assert {logging.DEBUG, logging.WARNING} <= levels
    assert any("'unchecked'" in record.message for record in caplog.records)
    assert capfd.readouterr() == ("", "")
