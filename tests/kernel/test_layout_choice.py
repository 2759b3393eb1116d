"""Which layout a live map has: its BTF tells apart what its sizes leave open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cilium_py.bpf.object import BpfObject
from cilium_py.errors import LayoutMismatch, WrongUsage
from cilium_py.maps import ct, endpoint, ipcache, metrics
from cilium_py.schema import MapDef
from cilium_py.table import open_source
from tests.kernel.world import made_like

IPCACHE_V2, IPCACHE = ipcache.MAP.sources
EVERY = [
    *(("ct", release, ct.MAP.sources[0]) for release in ("1.12", "1.16", "1.18", "1.19")),
    *(("ip", release, IPCACHE) for release in ("1.12", "1.14", "1.15", "1.16")),
    *(("ip", release, IPCACHE_V2) for release in ("1.18", "1.19")),
    *(("lxc", release, endpoint.MAP.sources[0]) for release in ("1.12", "1.14", "1.15", "1.17", "1.20")),
    *(("metrics", release, metrics.MAP.sources[0]) for release in ("1.12", "1.16")),
]


@pytest.mark.parametrize(
    ("family", "release", "source"), EVERY, ids=lambda value: value if isinstance(value, str) else ""
)
def test_btf_tells_releases_apart(
    build: Callable[[str], Path], bpffs: Path, family: str, release: str, source: object
) -> None:
    from cilium_py.schema import Source

    assert isinstance(source, Source)
    with BpfObject.open(build("layouts")) as maps:
        maps.load()
        maps.maps[f"{family}_v{release.replace('.', '_')}"].pin(bpffs / source.pin)
    with open_source(source, bpffs) as table:
        assert table.layout.release == release


def test_btf_that_says_otherwise_is_refused(build: Callable[[str], Path], bpffs: Path) -> None:
    [source, *_] = ct.MAP.sources
    with BpfObject.open(build("layouts")) as maps:
        maps.load()
        maps.maps["ct_odd_one"].pin(bpffs / source.pin)
    with pytest.raises(LayoutMismatch, match="the map's BTF places its fields otherwise"):
        open_source(source, bpffs)
    with open_source(source, bpffs, release="1.16") as table:
        assert table.layout.release == "1.16"


@pytest.mark.parametrize(
    ("definition", "release"), [(ct.MAP, "1.18"), (ipcache.MAP, "1.18"), (endpoint.MAP, "1.17"), (metrics.MAP, "1.16")],
    ids=lambda value: value if isinstance(value, str) else " ".join(value.command),
)  # fmt: skip
def test_without_btf_a_map_is_read_as_1_18_would(
    bpffs: Path, definition: MapDef[tuple[object, ...]], release: str
) -> None:
    made_like(definition.sources[0].layouts[0], bpffs / definition.sources[0].pin)
    with open_source(definition.sources[0], bpffs) as table:
        assert table.layout.release == release


def test_without_btf_what_would_be_a_guess_is_refused(bpffs: Path) -> None:
    made_like(IPCACHE.layouts[0], bpffs / IPCACHE.pin)
    with pytest.raises(LayoutMismatch, match=r"1\.16 and 1\.15 and 1\.14 and 1\.12 fit") as caught:
        open_source(IPCACHE, bpffs)
    assert caught.value.hint == "say --layout"
    with open_source(IPCACHE, bpffs, release="1.14") as table:
        assert table.layout.release == "1.14"


def test_a_forced_layout_must_fit(bpffs: Path) -> None:
    made_like(IPCACHE_V2.layouts[0], bpffs / IPCACHE_V2.pin)
    with pytest.raises(WrongUsage, match=r"layout 1\.16 does not fit 24/24 bytes"):
        open_source(IPCACHE_V2, bpffs, release="1.16")
