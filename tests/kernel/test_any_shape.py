"""Maps of any type and size under the names of Cilium's: every command reads them right or refuses in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.pins import mount_bpffs
from cilium_py.families import definitions
from cilium_py.libbpf.constants import MapType
from cilium_py.schema import Source
from tests.kernel.conftest import call as syscall
from tests.kernel.world import SCOPES, made
from tests.unit.cli.test_tree import WORDS, call, leaves

TYPES = [
    MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH,
    MapType.LPM_TRIE, MapType.HASH_OF_MAPS, MapType.ARRAY_OF_MAPS, MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY,
    MapType.CGROUP_ARRAY, MapType.STACK_TRACE, MapType.QUEUE, MapType.BLOOM_FILTER, MapType.RINGBUF, MapType.SOCKMAP,
    MapType.SOCKHASH, MapType.DEVMAP,
]  # fmt: skip
FAMILIES = {source.pin: (definition, source) for definition in definitions() for source in definition.sources}
LEAVES = [path for path in leaves() if path[0] in ("bpf", "flow", "doctor") and path[:2] != ("bpf", "fs")]
SLOW = {("bpf", "stats", "report")}
OWN_RULES = {("calls",), ("srv6", "policy"), ("srv6", "sid"), ("srv6", "state"), ("srv6", "vrf")}
"""Families whose list is not of their maps alone, or goes by another name."""


@pytest.fixture(scope="module")
def node(own_mounts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001
    root = tmp_path_factory.mktemp("node")
    mount_bpffs(root / "bpf")
    (root / "bpf/tc/globals").mkdir(parents=True)
    yield root
    syscall("umount2", os.fsencode(root / "bpf"), 0)


@st.composite
def shapes(draw: st.DrawFn, source: Source[Any]) -> tuple[MapType, int, int]:
    """Type and sizes, each right or not."""
    layout = draw(st.sampled_from(source.layouts))
    right = MapType[draw(st.sampled_from(layout.kind.value)).upper()]
    type = draw(st.just(right) | st.sampled_from(TYPES))
    key = draw(st.just(layout.key.size) | st.integers(1, 48))
    value = draw(st.just(layout.value.size) | st.sampled_from((0, 1, 4, 7, 8, 16, 24, 64)))
    if type in (MapType.RINGBUF, MapType.QUEUE, MapType.BLOOM_FILTER):
        key = 0
    return type, key, value


def fill(path: Path, data: st.DataObject) -> None:
    """Put in some entries, where the kernel takes them."""
    with suppress(OSError), BpfMap.open(path, read_only=False) as opened:
        for _ in range(data.draw(st.integers(0, 3))):
            key = data.draw(st.binary(min_size=opened.key_size, max_size=opened.key_size))
            value = data.draw(st.binary(min_size=opened.value_room, max_size=opened.value_room))
            with suppress(OSError):
                opened.update(key if data.draw(st.booleans()) else key[:1].ljust(len(key), b"\0"), value)


def with_map(node: Path, pin: str, data: st.DataObject, use: Callable[..., None]) -> None:
    """Call `use` with the shape of a map that is pinned meanwhile, if the kernel makes such a map."""
    definition, source = FAMILIES[pin]
    shape = data.draw(shapes(source))
    path = node / "bpf/tc/globals" / source.pin.format(SCOPES.get(definition.command[0], ""))
    try:
        made(*shape, path)
    except OSError:
        return
    try:
        fill(path, data)
        use(shape)
    finally:
        path.unlink()


def said(node: Path, *words: str) -> tuple[int, str, str]:
    return call("--bpf-root", str(node / "bpf"), "--state-dir", str(node / "state"), *words)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_list_is_right_or_refused(node: Path, data: st.DataObject) -> None:
    pin = data.draw(st.sampled_from([pin for pin, (each, _) in FAMILIES.items() if each.command not in OWN_RULES]))
    definition, source = FAMILIES[pin]

    def check(shape: tuple[MapType, int, int]) -> None:
        code, out, err = said(node, "bpf", *definition.command, "list", "-o", "json")
        fitting = [
            layout for layout in source.layouts
            if (shape[0].name.lower() in layout.kind.value, layout.key.size, layout.value.size) == (True, *shape[1:])
        ]  # fmt: skip
        if not fitting:
            assert (code, out) == (1, "")
            assert "known" in err
        elif len(fitting) == 1 or source.assumed is not None:
            assert (code, err) == (0, "")
            assert out.startswith("[")

    with_map(node, pin, data, check)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_shape_is_a_traceback_at_any_verb(node: Path, data: st.DataObject) -> None:
    pin = data.draw(st.sampled_from(list(FAMILIES)))
    command = FAMILIES[pin][0].command
    own = [path for path in LEAVES if path[1 : 1 + len(command)] == command]
    path = data.draw(st.sampled_from(own) | st.sampled_from(LEAVES) if own else st.sampled_from(LEAVES))
    words = data.draw(st.lists(WORDS, max_size=4))
    if path in SLOW:
        return
    if {"watch", "top"}.intersection(path):
        words = ["--interval", "50ms", "--rounds", "1", *words]
    compat = ["--compat"] if data.draw(st.booleans()) else []

    def check(_shape: tuple[MapType, int, int]) -> None:
        code, _, err = said(node, *compat, *path, *words)
        assert code in (0, 1, 2, 3)
        assert len(err.splitlines()) <= 3

    with_map(node, pin, data, check)
