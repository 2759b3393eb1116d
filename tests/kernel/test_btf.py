"""Types of object files and of live maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cilium_py.bpf.btf import Btf, Member
from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.libbpf.constants import MapType

PAIR = [
    Member("left", "__u16", 0, 2),
    Member("right", "__u16", 2, 2, 0, 4),
    Member("rest", "__u16", 2, 2, 4, 12),
    Member("word", "__u32", 4, 4),
    Member("bytes", "__u8[4]", 4, 4),
]


def test_structs_of_an_object(probe: Path) -> None:
    btf = Btf.of_object(probe)
    pair = btf.struct("pair")
    assert (pair.size, list(pair.flat_members())) == (8, PAIR)
    assert [member.name for member in pair.members] == ["left", "right", "rest", ""]
    assert "__sk_buff" in btf.structs
    with pytest.raises(KeyError):
        btf.struct("absent")


def test_types_of_a_live_map(probe: Path, bpffs: Path) -> None:
    with BpfObject.open(probe, pin_root=bpffs) as opened:
        opened.load()
    with BpfMap.open(bpffs / "shared_pairs") as live:
        btf = Btf.of_map(live)
        assert btf is not None
        assert list(btf.type(live.info.btf_value_type_id).flat_members()) == PAIR
        key = btf.type(live.info.btf_key_type_id)
        assert (key.name, key.size, key.members) == ("unsigned int", 4, ())


def test_a_map_made_without_types() -> None:
    with BpfMap.create(name="bare", type=MapType.HASH, key_size=4, value_size=4, max_entries=1) as bare:
        assert Btf.of_map(bare) is None


def test_the_kernels_own_types() -> None:
    btf = Btf(Path("/sys/kernel/btf/vmlinux").read_bytes())
    members = {member.name: member for member in btf.struct("list_head").members}
    assert members == {
        "next": Member("next", "list_head *", 0, 8),
        "prev": Member("prev", "list_head *", 8, 8),
    }
    assert btf.struct("sk_buff").size > 200


def test_sections_have_offsets_once_libbpf_filled_them_in(probe: Path) -> None:
    with BpfObject.open(probe) as opened:
        [wide] = opened.btf.sections[".rodata.config"]
        assert (wide.name, wide.offset, wide.size) == ("wide", 0, 8)
        offsets = {variable.offset for variable in opened.btf.sections[".rodata"]}
        assert len(offsets) == len(opened.btf.sections[".rodata"])
