"""Entries of the corpus decoded without a kernel, against the texts that Cilium's agent has for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cilium_py.cli.bpf import definitions
from cilium_py.maps import ct, frag, policy
from cilium_py.schema import GoTable, Layout, Pair
from cilium_py.schema.struct import swap
from cilium_py.schema.text import go_ip

Texts = Callable[[Pair], tuple[str, str]]


def ct_texts(pair: Pair) -> tuple[str, str]:
    text = ct.compat_key(pair.key).text
    assert text is not None
    return text(), f"expires={ct.LINE(pair.row).partition(' expires=')[2]}\n"


def frag_texts(pair: Pair) -> tuple[str, str]:
    row = pair.row
    key = f"{go_ip(row.source)} --> {go_ip(row.destination)}, {pair.key.proto}, {row.id}"
    return key, f"{swap(row.destination_port, 2)}, {swap(row.source_port, 2)}"


def policy_texts(pair: Pair) -> tuple[str, str]:
    row = pair.row
    key = f"{row.direction.capitalize()}: {row.identity} {policy.port_text(row)}"
    return key, f"{row.proxy_port or 0} {pair.value.flags >> policy.PREFIX_SHIFT}"


BY_FAMILY: dict[str, tuple[Any, Texts]] = {
    "cilium_ct": (ct.MAP, ct_texts),
    "cilium_ipv": (frag.MAP, frag_texts),
    "cilium_policy_v2": (policy.MAP, policy_texts),
}
"""By how the map's name begins; of a family with a GoTable, the texts are the command's own."""

OTHERWISE = frozenset({"cilium_vtep_map", "cilium_throttle", "cilium_tunnel_map"})
"""Maps whose command has other texts than the agent."""


def words(name: str) -> tuple[Any, Texts] | None:
    for start, found in BY_FAMILY.items():
        if name.startswith(start):
            return found
    for definition in definitions():
        if any(source.pin == name for source in definition.sources) and isinstance(definition.compat, GoTable):
            return definition, definition.compat.entry
    return None


def pairs(definition: Any, name: str, recorded: Any) -> Iterator[Pair]:
    layouts = next(
        source.layouts for source in definition.sources
        if source.pin == name or ("{}" in source.pin and name.startswith(source.pin.removesuffix("{}")))
    )  # fmt: skip
    sizes = recorded["key_size"], recorded["value_size"]
    fitting = [each for each in layouts if (each.key.size, each.value.size) == sizes]
    layout: Layout[Any] = next((each for each in fitting if each.release == "1.18"), fitting[0])
    for key_hex, value_hex in recorded["entries"]:
        key, value = layout.key.unpack(bytes.fromhex(key_hex)), layout.value.unpack(bytes.fromhex(value_hex))
        yield Pair(key, value, layout.decode(key, value))


def test_texts_of_the_agent(shared: Path) -> None:
    corpus = shared / "golden"
    compared, wrong = 0, []
    for name, recorded in json.loads((corpus / "gostrings.json").read_text()).items():
        found = words(name)
        if found is None or name in OTHERWISE:
            continue
        definition, texts = found
        spec = json.loads((corpus / "maps" / f"{name}.json").read_text())
        ours = sorted(list(texts(pair)) for pair in pairs(definition, name, spec))
        compared += len(ours)
        wrong += [(name, one, other) for one, other in zip(ours, sorted(recorded), strict=True) if one != other]
    assert not wrong, wrong[:10]
    assert compared > 900


def test_the_comparison_sees_a_difference() -> None:
    row = policy.MAP.sources[1].layouts[1].decode(policy.Key(), policy.Entry())  # type: ignore[call-arg]
    assert policy_texts(Pair(policy.Key(), policy.Entry(), row)) == ("Ingress: 0 <INVALID PREFIX LENGTH: 216>", "0 0")  # type: ignore[call-arg]


pytestmark = pytest.mark.usefixtures("shared")
