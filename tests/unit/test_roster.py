"""The list of known nodes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.node.roster import KnownNode, Roster, checked_name

NODE2 = KnownNode("node2", ipv4=IPv4Address("172.30.0.2"), ipv6=IPv6Address("fd30::2"))
NODE10 = KnownNode("node10", ipv4=IPv4Address("172.30.0.10"), health_ipv4=IPv4Address("10.244.10.2"))

nodes = st.builds(
    KnownNode,
    st.from_regex(r"[a-z][a-z0-9.-]{0,8}[a-z]", fullmatch=True),
    st.sampled_from(["default", "other"]),
    st.none() | st.ip_addresses(v=4),
    st.none() | st.ip_addresses(v=6),
    st.lists(st.ip_addresses(), max_size=2).map(tuple),
    st.none() | st.ip_addresses(v=4),
    st.none() | st.ip_addresses(v=6),
)


@given(nodes)
def test_document_round_trip(node: KnownNode) -> None:
    assert KnownNode.of_document(node.document()) == node


def test_put_change_remove(tmp_path: Path) -> None:
    roster = Roster(tmp_path)
    assert roster.all() == []
    assert roster.stamp() is None
    roster.put(NODE10)
    roster.put(NODE2)
    assert roster.all() == [NODE2, NODE10]
    assert oct(roster.file.stat().st_mode)[-3:] == "600"
    before = roster.stamp()
    changed = roster.change("node2", health_ipv4=IPv4Address("10.244.2.2"))
    assert roster.find("node2") == changed
    assert roster.stamp() != before
    assert roster.remove("node2") == changed
    assert roster.all() == [NODE10]


def test_full_name() -> None:
    assert NODE2.full_name == "node2"
    assert KnownNode("node2", "far").full_name == "far/node2"


@pytest.mark.parametrize(
    "node",
    [
        KnownNode("new"),
        KnownNode("new", ipv4=NODE10.ipv4),
        KnownNode("new", ipv4=NODE10.health_ipv4),
        KnownNode("new", ipv4=IPv4Address("172.30.0.7"), secondary=(IPv4Address("172.30.0.7"),)),
    ],
)
def test_addresses_are_one_nodes_own(tmp_path: Path, node: KnownNode) -> None:
    roster = Roster(tmp_path)
    roster.put(NODE10)
    with pytest.raises(WrongUsage):
        roster.put(node)
    assert roster.all() == [NODE10]


def test_unknown_node(tmp_path: Path) -> None:
    for ask in (lambda: Roster(tmp_path).remove("x"), lambda: Roster(tmp_path).change("x", ipv4=None)):
        with pytest.raises(CiliumPyError, match="no such node"):
            ask()


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"name": "../x"}]', '[{"name": "a", "ipv4": "fd30::1"}]', "nonsense"])
def test_not_a_roster(tmp_path: Path, text: str) -> None:
    roster = Roster(tmp_path)
    roster.file.write_text(text)
    with pytest.raises(CiliumPyError, match="not a list of nodes"):
        roster.all()


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "a\n", "x" * 200])
def test_names(name: str) -> None:
    with pytest.raises(WrongUsage):
        checked_name(name)
