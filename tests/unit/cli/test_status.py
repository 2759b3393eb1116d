"""What `status` says of a node that is not as it should be."""

from __future__ import annotations

import pytest

from cilium_py.cli.status import lines
from cilium_py.endpoint.overview import Overview


@pytest.mark.parametrize(
    ("problems", "said"), [([], "OK"), (["cilium0 is gone"], "1 problem"), (["one", "another"], "2 problems")]
)
def test_problems_are_counted(problems: list[str], said: str) -> None:
    found = Overview(
        node="node1", netns="", ipv4="", ipv4_router="", ipv4_pods="", ipv6="", ipv6_router="", ipv6_pods="",
        bpf_root="/sys/fs/bpf", state_dir="/run", attach="tcx", maps=1, programs=2, identities=0, endpoints={},
        problems=problems,
    )  # fmt: skip
    shown = lines(found)
    assert ("Node health", said) in shown
    assert ("BPF", "/sys/fs/bpf: 1 map, 2 programs attached") in shown
    assert [value for name, value in shown if name == "Problem"] == problems
