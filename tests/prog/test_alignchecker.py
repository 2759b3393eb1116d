"""Every struct that the programs share with user space, by the BTF of bpf_alignchecker.o."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from cilium_py.bpf.btf import Btf
from tests.prog.datapath import CHECKOUT


@pytest.fixture(scope="module")
def types() -> Btf:
    subprocess.run(["make", "-s", "-C", CHECKOUT / "bpf_src"], check=True)
    return Btf.of_object(CHECKOUT / "cilium_py/objects/bpf_alignchecker.o")


def test_structs_are_those_of_cilium(types: Btf, shared: Path) -> None:
    """Size, and name, place and width of every member."""
    facts = json.loads((shared / "reference/structs-1.18.json").read_text())
    for name, fact in facts.items():
        found = types.struct(name)
        assert found.size == fact["size"], name
        assert sorted(
            (member.name, member.offset, member.bit_offset if member.bits else 0, member.bits)
            for member in found.flat_members()
        ) == sorted(
            (field["name"], field["offset"], field.get("bit_offset", 0), field.get("bits", 0))
            for field in fact["fields"]
        ), name


def test_every_config_option_is_described() -> None:
    """A reader of the object alone sees what each option is for."""
    source = (CHECKOUT / "bpf_src/lib/config.h").read_text()
    options = source.count("DECLARE_CONFIG(") - 1
    described = Btf.of_object(CHECKOUT / "cilium_py/objects/bpf_lxc.o").data.count(b"config:")
    assert described == options > 40
